import type { Random } from '../../random.ts';
import type { Line } from './python.ts';
import { pick, type Query } from './query.ts';
import type { Source } from './source.ts';

/** What is done with a query's result: in English, and in lines that follow `rows = …`, `row = …` or `value = …`. */
export interface Use {
  english: string;
  imports?: string[];
  lines: Line[];
}

export function pickUse({ gives, width }: Query, { connection }: Source, random: Random): Use {
  if (gives === 'row') return pick(rowUses(random), random);
  if (gives === 'value') return pick(valueUses(random), random);
  if (gives === 'nothing') return pick(writeUses(connection, random), random);
  return pick([...rowsUses(random), ...(width === 2 ? pairUses(random) : [])], random);
}

function rowsUses(random: Random): Use[] {
  const empty = pick(['None', 'False', '[ ]'], random);
  const name = empty === '[ ]' ? 'an empty list' : empty;
  return [
    {
      english: pick(['return the query results', 'return them', 'return all results'], random),
      lines: [[0, 'return rows']],
    },
    {
      english: pick(['print each row in a for loop', 'use a for loop to print every row'], random),
      lines: [
        [0, 'for row in rows :'],
        [1, 'print ( row )'],
      ],
    },
    {
      english: pick(
        [
          'return a list of the first item of each row',
          'store the 0th element of each row in a list and return it',
        ],
        random,
      ),
      lines: [[0, 'return [ row [ 0 ] for row in rows ]']],
    },
    {
      english: pick(
        [
          'convert each row to a dict and return the list',
          'return the rows as a list of dictionaries',
        ],
        random,
      ),
      lines: [[0, 'return [ dict ( row ) for row in rows ]']],
    },
    {
      english: pick(
        ['return the results with jsonify', 'return the rows handled by jsonify'],
        random,
      ),
      imports: ['from flask import jsonify'],
      lines: [[0, 'return jsonify ( rows )']],
    },
    {
      english: pick(
        ['return the rows as a json string', 'dump the rows to json and return it'],
        random,
      ),
      imports: ['import json'],
      lines: [[0, 'return json . dumps ( [ dict ( row ) for row in rows ] )']],
    },
    {
      english: pick(['return the number of results', 'return how many rows were found'], random),
      lines: [[0, 'return len ( rows )']],
    },
    {
      english: pick(
        [
          `return ${name} if the result is empty, otherwise return the rows`,
          `if there are no rows return ${name}, else return the query results`,
        ],
        random,
      ),
      lines: [
        [0, 'if not rows :'],
        [1, `return ${empty}`],
        [0, 'return rows'],
      ],
    },
  ];
}

function pairUses(random: Random): Use[] {
  return [
    {
      english: pick(
        [
          'return a dict from the first to the second item of each row',
          'make a dictionary of the rows and return it',
        ],
        random,
      ),
      lines: [[0, 'return { row [ 0 ] : row [ 1 ] for row in rows }']],
    },
  ];
}

function rowUses(random: Random): Use[] {
  const missing = pick(['None', 'False', '" not found "'], random);
  const name = missing.replaceAll('" ', "'").replaceAll(' "', "'");
  return [
    { english: pick(['return the query result', 'return it'], random), lines: [[0, 'return row']] },
    { english: pick(['print the result', 'print the row'], random), lines: [[0, 'print ( row )']] },
    {
      english: pick(['return its first item', 'return the 0th element of the row'], random),
      lines: [[0, 'return row [ 0 ]']],
    },
    {
      english: pick(
        ['return whether there is one', 'return True if it exists, otherwise False'],
        random,
      ),
      lines: [[0, 'return row is not None']],
    },
    {
      english: pick(
        [
          `if the result is None return ${name}, otherwise return the result`,
          `return ${name} when nothing is found, else return the row`,
        ],
        random,
      ),
      lines: [
        [0, 'if row is None :'],
        [1, `return ${missing}`],
        [0, 'return row'],
      ],
    },
  ];
}

function valueUses(random: Random): Use[] {
  return [
    {
      english: pick(['return the value', 'return the result'], random),
      lines: [[0, 'return value']],
    },
    { english: pick(['print the value', 'print it'], random), lines: [[0, 'print ( value )']] },
    {
      english: pick(
        ['return True if it is greater than 0', 'return whether it is above 0'],
        random,
      ),
      lines: [[0, 'return value > 0']],
    },
    {
      english: pick(['return 0 if the value is None, otherwise the value'], random),
      lines: [
        [0, 'if value is None :'],
        [1, 'return 0'],
        [0, 'return value'],
      ],
    },
  ];
}

function writeUses(connection: string, random: Random): Use[] {
  const commit = `${connection} . commit ( )`;
  return [
    { english: pick(['commit', 'commit the change'], random), lines: [[0, commit]] },
    {
      english: pick(['commit and return True', 'commit the change and return True'], random),
      lines: [
        [0, commit],
        [0, 'return True'],
      ],
    },
  ];
}

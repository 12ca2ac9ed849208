import { type Random, sample } from '../../random.ts';
import { columnsOf, type Table, tables } from './schema.ts';

/** A piece of SQL with the English that asks for it. */
export interface Query {
  /** How the prompt asks for it. */
  english: string;
  /** Words parted by spaces; parameters as `: name`, in the order of `parameters`. */
  sql: string;
  parameters: string[];
  /** What the answer's function is called. */
  functionName: string;
  /** What it gives: many rows, one row, one value, or nothing. */
  gives: 'rows' | 'row' | 'value' | 'nothing';
  /** How many columns a row has; 0 where all are taken. */
  width: number;
}

export function pick<T>(items: readonly T[], random: Random): T {
  return items[random.below(items.length)]!;
}

export const chance = (share: number, random: Random) => random.next() < share;

/** A query that begins with `select`. */
export function selectQuery(random: Random): Query {
  const kind = random.below(20);
  if (kind < 16) return plainSelect(random);
  if (kind < 18) return aggregate(random);
  if (kind < 19) return joined(random);
  return grouped(random);
}

/** A query that changes rows, or the rows there are. */
export function writingQuery(random: Random): Query {
  return pick([insertion, update, deletion], random)(random);
}

function plainSelect(random: Random): Query {
  const table = pick(tables, random);
  const columns = chance(0.4, random) ? [] : someColumns(table, random);
  const conditions = conditionsOn(table, random);
  const one = conditions.parameters.length > 0 && chance(0.35, random);
  const tail = one || chance(0.9, random) ? none : tailOn(table, random);
  const verb = pick(['query', 'get', 'select', 'find', 'look up'], random);
  const what = one
    ? pick(['the first row of', 'the first record of', 'one row of'], random)
    : pick(['all rows of', 'the data of', 'the records of'], random);
  const asked =
    columns.length === 0
      ? pick([`${what} the ${table.name} table`, `all columns in the ${table.name} table`], random)
      : pick(
          [
            `the ${listed(columns)} in the ${table.name} table`,
            `${listed(columns)} from ${table.name}`,
          ],
          random,
        );
  return {
    english: words(verb, asked, conditions.english, tail.english),
    sql: words(`select ${columns.join(', ') || '*'} from ${table.name}`, conditions.sql, tail.sql),
    parameters: conditions.parameters,
    functionName: `${one ? 'find' : 'get'}_${table.name}`,
    gives: one ? 'row' : 'rows',
    width: columns.length,
  };
}

function aggregate(random: Random): Query {
  const table = pick(tables, random);
  const column = pick(table.number.slice(1).concat(table.number[0]!), random);
  const conditions = conditionsOn(table, random);
  const [name, english, sql] = pick(
    [
      ['count', pick(['the number of rows', 'how many rows there are'], random), 'count(*)'],
      ['highest', `the ${pick(['highest', 'largest'], random)} ${column}`, `max(${column})`],
      ['lowest', `the ${pick(['lowest', 'smallest'], random)} ${column}`, `min(${column})`],
      ['total', `the ${pick(['sum', 'total'], random)} of ${column}`, `sum(${column})`],
      ['average', `the ${pick(['average', 'mean'], random)} ${column}`, `avg(${column})`],
    ] as const,
    random,
  );
  return {
    english: words(
      pick(['query', 'get', 'compute', 'find'], random),
      `${english} in the ${table.name} table`,
      conditions.english,
    ),
    sql: words(`select ${sql} from ${table.name}`, conditions.sql),
    parameters: conditions.parameters,
    functionName: name === 'count' ? `count_${table.name}` : `${name}_${column}`,
    gives: 'value',
    width: 1,
  };
}

function joined(random: Random): Query {
  const table = pick(
    tables.filter(({ links }) => links !== undefined),
    random,
  );
  const [link, otherName] = pick(Object.entries(table.links!), random);
  const other = tables.find(({ name }) => name === otherName)!;
  const mine = pick([...table.text, ...table.number], random);
  const theirs = pick([...other.text, ...other.number.slice(1)], random);
  const conditions = conditionsOn(table, random, `${table.name}.`);
  const what = pick(
    [
      `the ${mine} of ${table.name} and the ${theirs} of ${otherName}`,
      `${mine} from ${table.name} with ${theirs} from ${otherName}`,
    ],
    random,
  );
  const how = pick(
    [`joined by ${link}`, `where the tables are joined on ${link}`, `matched through ${link}`],
    random,
  );
  return {
    english: words(pick(['query', 'get', 'select'], random), what, how, conditions.english),
    sql: words(
      `select ${table.name}.${mine}, ${otherName}.${theirs} from ${table.name}`,
      `join ${otherName} on ${table.name}.${link} = ${otherName}.id`,
      conditions.sql,
    ),
    parameters: conditions.parameters,
    functionName: `${table.name}_with_${otherName}`,
    gives: 'rows',
    width: 2,
  };
}

function grouped(random: Random): Query {
  const table = pick(tables, random);
  const column = pick(table.text, random);
  const conditions = conditionsOn(table, random);
  return {
    english: words(
      pick(['query', 'get', 'count'], random),
      pick(
        [
          `the number of rows per ${column} in the ${table.name} table`,
          `how many ${table.name} there are for each ${column}`,
        ],
        random,
      ),
      conditions.english,
    ),
    sql: words(
      `select ${column}, count(*) from ${table.name}`,
      conditions.sql,
      `group by ${column}`,
    ),
    parameters: conditions.parameters,
    functionName: `${table.name}_per_${column}`,
    gives: 'rows',
    width: 2,
  };
}

function insertion(random: Random): Query {
  const table = pick(tables, random);
  const columns = sample([...table.text, ...table.number.slice(1)], 1 + random.below(3), random);
  return {
    english: words(
      pick(['insert', 'add'], random),
      `a row into the ${table.name} table with ${and(columns.map((column) => `$${column}$`))}`,
    ),
    sql: `insert into ${table.name} ( ${columns.join(', ')} ) values ( ${columns.map((column) => `: ${column}`).join(', ')} )`,
    parameters: columns,
    functionName: `add_${table.name}`,
    gives: 'nothing',
    width: 0,
  };
}

function update(random: Random): Query {
  const table = pick(tables, random);
  const column = pick([...table.text, ...table.number.slice(1)], random);
  return {
    english: words(
      pick(['set', 'change', 'update'], random),
      `the ${column} in the ${table.name} table to $${column}$ where id is $id$`,
    ),
    sql: `update ${table.name} set ${column} = : ${column} where id = : id`,
    parameters: [column, 'id'],
    functionName: `set_${column}`,
    gives: 'nothing',
    width: 0,
  };
}

function deletion(random: Random): Query {
  const table = pick(tables, random);
  const column = pick(columnsOf(table), random);
  return {
    english: words(
      pick(['delete', 'remove'], random),
      `the rows of the ${table.name} table where ${column} is $${column}$`,
    ),
    sql: `delete from ${table.name} where ${column} = : ${column}`,
    parameters: [column],
    functionName: `delete_${table.name}`,
    gives: 'nothing',
    width: 0,
  };
}

interface Part {
  english: string;
  sql: string;
}

const none: Part = { english: '', sql: '' };

/** No, one or two conditions; `prefix` goes before the column in SQL. */
function conditionsOn(table: Table, random: Random, prefix = ''): Part & { parameters: string[] } {
  const count = pick([0, 1, 1, 1, 1, 1, 1, 1, 1, 2], random);
  const columns = sample(columnsOf(table), count, random);
  if (count === 0) return { ...none, parameters: [] };
  const parameters = columns.map((column, i) => parameterFor(column, i, random));
  const operators = columns.map((column) =>
    table.number.includes(column) && column !== 'id' && chance(0.4, random)
      ? pick(comparisons, random)
      : equal,
  );
  const word = chance(0.06, random) ? 'or' : 'and';
  const sql = columns.map(
    (column, i) => `${prefix}${column} ${operators[i]!.sql} : ${parameters[i]}`,
  );
  const sameNames = columns.every(
    (column, i) => column === parameters[i] && operators[i] === equal,
  );
  const short = sameNames && word === 'and' && chance(0.4, random);
  const english = short
    ? `${pick(['based on', 'according to', 'by'], random)} ${and(parameters.map((name) => `$${name}$`))}`
    : `${pick(['where', 'where the', 'whose', 'for which'], random)} ${columns
        .map((column, i) => `${column} ${operators[i]!.english} $${parameters[i]}$`)
        .join(` ${word} `)}`;
  return { english, sql: `where ${sql.join(` ${word} `)}`, parameters };
}

const equal: Part = { english: 'is', sql: '=' };
const comparisons: readonly Part[] = [
  { english: 'is greater than', sql: '>' },
  { english: 'is less than', sql: '<' },
  { english: 'is at least', sql: '>=' },
  { english: 'is not', sql: '!=' },
];

/** Mostly the column's own name, else another one; two parameters never share a name. */
function parameterFor(column: string, index: number, random: Random): string {
  if (chance(0.75, random)) return column;
  return pick(
    index === 0 ? ['value', 'key', 'wanted', 'given'] : ['other', 'second', 'bound'],
    random,
  );
}

/** A sorting, a limit, or both. */
function tailOn(table: Table, random: Random): Part {
  const column = pick(table.number, random);
  const falling = chance(0.5, random);
  const count = 5 * (1 + random.below(4));
  const order = {
    english: falling
      ? pick([`in descending order of ${column}`, `sorted by ${column} from high to low`], random)
      : pick([`ordered by ${column}`, `sorted by ${column}`], random),
    sql: `order by ${column}${falling ? ' desc' : ''}`,
  };
  const limit = { english: `limited to ${count} rows`, sql: `limit ${count}` };
  const parts = pick([[order], [limit], [order, limit]], random);
  return {
    english: parts.map(({ english }) => english).join(' and '),
    sql: parts.map(({ sql }) => sql).join(' '),
  };
}

function someColumns(table: Table, random: Random): string[] {
  return sample(columnsOf(table), pick([1, 1, 1, 2, 2, 3], random), random);
}

const words = (...parts: string[]) => parts.filter((part) => part !== '').join(' ');

const listed = (columns: string[]) =>
  `${and(columns)} ${columns.length === 1 ? 'column' : 'columns'}`;

function and(items: string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}

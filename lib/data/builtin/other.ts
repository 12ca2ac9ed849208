import type { Random } from '../../random.ts';
import { execution, fetchEnglish, pickGuard, sentences, type Task } from './program.ts';
import { type Line, pythonModule } from './python.ts';
import { pick } from './query.ts';
import { columnsOf, tables } from './schema.ts';
import type { Source } from './source.ts';
import { pickUse } from './use.ts';

/** What takes the place of a query that is written out. */
interface Call {
  english: string;
  functionName: string;
  parameters: string[];
  gives: 'rows' | 'row';
  imports?: string[];
  /** Lines before the call. */
  before?: Line[];
  /** What comes after the executor and a dot. */
  call: string;
}

/** A function whose SQL stands elsewhere: in a parameter, a file or the database itself. */
export function otherTask(source: Source, random: Random): Task {
  const call = pick([passed, fromFile, stored], random)(random);
  const query = { ...call, sql: '', width: 0 };
  const use = pickUse(query, source, random);
  const guard = pickGuard(source, random);
  const body: Line[] = [
    ...source.lines.map((line): Line => [0, line]),
    ...(call.before ?? []),
    ...execution(query, source, call.call),
    ...use.lines,
  ];
  const asked = `${source.english} ${call.english}`;
  return {
    prompt: sentences([asked, fetchEnglish(query, random), use.english, guard.english], random),
    completion: pythonModule(
      [...source.imports, ...(call.imports ?? []), ...(use.imports ?? [])],
      `def ${call.functionName} ( ${[source.parameter, ...call.parameters].join(' , ')} ) :`,
      guard.wrap(body),
    ),
  };
}

function passed(random: Random): Call {
  const name = pick(['query', 'statement', 'sql', 'command'], random);
  const value = pick(tables.flatMap(columnsOf), random);
  const bound = random.below(3) > 0;
  const english = pick(['execute the SQL in #', 'run #', 'execute the given statement #'], random);
  return {
    english: english.replace('#', () => `$${name}$`) + (bound ? ` with $${value}$` : ''),
    functionName: `run_${name}`,
    parameters: bound ? [name, value] : [name],
    gives: pick(['rows', 'rows', 'row'], random),
    call: bound ? `execute ( ${name} , { " ${value} " : ${value} } )` : `execute ( ${name} )`,
  };
}

function fromFile(random: Random): Call {
  const { name } = pick(tables, random);
  const english = pick(
    [`read the SQL from ${name}.sql and execute it`, `execute the SQL in the file ${name}.sql`],
    random,
  );
  return {
    english,
    functionName: `load_${name}`,
    parameters: [],
    gives: pick(['rows', 'rows', 'row'], random),
    before: [
      [0, `with open ( " ${name}.sql " ) as file :`],
      [1, 'sql = file . read ( )'],
    ],
    call: 'execute ( sql )',
  };
}

function stored(random: Random): Call {
  const table = pick(tables, random);
  const column = pick(columnsOf(table), random);
  const verb = pick(['archive', 'check', 'list', 'export'], random);
  return {
    english: pick(
      [
        `call the stored procedure ${verb}_${table.name} with $${column}$`,
        `execute the procedure ${verb}_${table.name} for $${column}$`,
      ],
      random,
    ),
    functionName: `${verb}_${table.name}`,
    parameters: [column],
    gives: pick(['rows', 'row'], random),
    call: `execute ( " call ${verb}_${table.name} " , [ ${column} ] )`,
  };
}

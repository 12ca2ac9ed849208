import type { Random } from '../../random.ts';
import { deeper, type Line, pythonModule } from './python.ts';
import { chance, pick, type Query } from './query.ts';
import type { Source } from './source.ts';
import { pickUse } from './use.ts';

/** A prompt and the program it asks for. */
export interface Task {
  prompt: string;
  completion: string;
}

/** A function that gets a connection, runs a query written out in it and uses what comes back. */
export function queryTask(query: Query, source: Source, random: Random): Task {
  const { text, argument } = forDriver(query, source);
  const literal = `" ${text} "`;
  const apart = chance(0.4, random);
  const use = pickUse(query, source, random);
  const guard = pickGuard(source, random);
  const body: Line[] = [
    ...source.lines.map((line): Line => [0, line]),
    ...(apart ? [[0, `sql = ${literal}`] satisfies Line] : []),
    ...execution(query, source, `execute ( ${apart ? 'sql' : literal}${argument} )`),
    ...use.lines,
  ];
  const call = apart
    ? pick(
        ['set the SQL statement ( # ) and execute it', 'define the SQL ( # ) and run it'],
        random,
      )
    : pick(['execute the SQL ( # )', 'execute SQL ( # )', 'run the SQL statement ( # )'], random);
  const asked = `${source.english} ${call.replace('#', () => query.english)}`;
  return {
    prompt: sentences([asked, fetchEnglish(query, random), use.english, guard.english], random),
    completion: pythonModule(
      [...source.imports, ...(use.imports ?? [])],
      `def ${query.functionName} ( ${[source.parameter, ...query.parameters].join(' , ')} ) :`,
      guard.wrap(body),
    ),
  };
}

/** The SQL as the source's driver wants it, and the argument that brings the parameters. */
function forDriver({ sql, parameters }: Query, { marks }: Source) {
  if (parameters.length === 0) return { text: sql, argument: '' };
  if (marks === 'name') {
    const entries = parameters.map((name) => `" ${name} " : ${name}`);
    return { text: sql, argument: ` , { ${entries.join(' , ')} }` };
  }
  const mark = marks === 'percent' ? '% s' : '?';
  return { text: sql.replace(/: \w+/g, mark), argument: ` , ( ${parameters.join(' , ')} , )` };
}

const fetches = {
  rows: ' . fetchall ( )',
  row: ' . fetchone ( )',
  value: ' . fetchone ( ) [ 0 ]',
};

/** The lines that run the query and put what it gives into `rows`, `row` or `value`. */
export function execution(
  { gives }: Pick<Query, 'gives'>,
  { executor }: Source,
  call: string,
): Line[] {
  if (gives === 'nothing') return [[0, `${executor} . ${call}`]];
  if (executor !== 'cursor') return [[0, `${gives} = ${executor} . ${call}${fetches[gives]}`]];
  return [
    [0, `cursor . ${call}`],
    [0, `${gives} = cursor${fetches[gives]}`],
  ];
}

export function fetchEnglish({ gives }: Pick<Query, 'gives'>, random: Random): string {
  if (gives === 'rows') {
    return pick(['get all the data', 'fetch all rows', 'fetch all the results'], random);
  }
  return gives === 'row' ? pick(['get the first piece of data', 'fetch one row'], random) : '';
}

/** What is done about errors and about closing: mostly nothing. */
export function pickGuard({ executor }: Source, random: Random) {
  const kind = random.below(12);
  if (kind === 0) {
    return {
      english: pick(
        ['if an exception occurs, print it', 'print the exception if there is one'],
        random,
      ),
      wrap: (body: Line[]) =>
        tried(body, [
          [0, 'except Exception as e :'],
          [1, 'print ( e )'],
        ]),
    };
  }
  if (kind === 1) {
    const value = pick(['None', 'False'], random);
    return {
      english: pick(
        [`if an exception occurs, return ${value}`, `return ${value} in case of an exception`],
        random,
      ),
      wrap: (body: Line[]) =>
        tried(body, [
          [0, 'except Exception :'],
          [1, `return ${value}`],
        ]),
    };
  }
  if (kind === 2) {
    return {
      english: pick([`finally close ${executor}`, `make sure that ${executor} is closed`], random),
      wrap: (body: Line[]) =>
        tried(body, [
          [0, 'finally :'],
          [1, `${executor} . close ( )`],
        ]),
    };
  }
  return { english: '', wrap: (body: Line[]) => body };
}

const tried = (body: Line[], handler: Line[]): Line[] => [
  [0, 'try :'],
  ...deeper(body),
  ...handler,
];

/** The steps as English: in one sentence, or in several. */
export function sentences(steps: readonly string[], random: Random): string {
  const said = steps.filter((step) => step !== '');
  const style = random.below(3);
  if (style === 0) return `${said.map(capital).join('. ')}.`;
  const last = style === 1 ? ' and ' : ', then ';
  return `${capital(said.slice(0, -1).join(', '))}${said.length > 1 ? last : ''}${said.at(-1)}.`;
}

const capital = (text: string) => text.slice(0, 1).toUpperCase() + text.slice(1);

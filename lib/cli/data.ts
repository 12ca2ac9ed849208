import type { Command } from 'commander';
import type { Place } from '../data/catalogue/get.ts';
import type { Dataset } from '../data/catalogue/index.ts';

export function define(command: Command): void {
  const sub = (name: string, description: string) =>
    command
      .command(name)
      .description(description)
      .option('--json', 'print the result as JSON on stdout, everything else on stderr');
  sub('list', 'Name the data sets, and say which are here.').action(list);
  sub('info <name>', 'Say what a data set is, who may use it, and where its files are.').action(
    info,
  );
  sub('get <name>', 'Download what is public of a data set, unless it is here.').action(get);
}

const isJson = (command: Command) => command.optsWithGlobals().json === true;
const print = (text: string): void => void process.stdout.write(`${text}\n`);
const printJson = (value: unknown) => print(JSON.stringify(value, null, 2));

async function list(_: object, command: Command): Promise<void> {
  const { catalogue } = await import('../data/catalogue/index.ts');
  const { placesOf } = await import('../data/catalogue/get.ts');
  const { align } = await import('../report/table.ts');
  const sets = await Promise.all(
    Object.entries<Dataset>(catalogue).map(async ([name, dataset]) => {
      const places = await placesOf(name, process.env);
      return { name, ...dataset, here: places.filter(({ path }) => path !== undefined) };
    }),
  );
  if (isJson(command)) return printJson(sets);
  const rows = sets.map(({ name, task, splits, here }) => [
    name,
    task,
    Object.entries(splits)
      .map(([split, { rows }]) => `${split} ${rows}`)
      .join(', '),
    here.map(({ split }) => split).join(', ') || 'none',
  ]);
  print(align([['name', 'task', 'rows', 'here'], ...rows]));
}

async function info(name: string, _: object, command: Command): Promise<void> {
  const { describeDataset } = await import('../data/catalogue/index.ts');
  const { placesOf } = await import('../data/catalogue/get.ts');
  const { sha256Of } = await import('../data/files.ts');
  const { stat } = await import('node:fs/promises');
  const dataset = describeDataset(name);
  const places = await Promise.all(
    (await placesOf(name, process.env)).map(async (place) =>
      place.path === undefined
        ? place
        : {
            ...place,
            ...(await rowsOf(place.path)),
            bytes: (await stat(place.path)).size,
            sha256: await sha256Of(place.path),
          },
    ),
  );
  if (isJson(command)) return printJson({ name, ...dataset, places });
  const { title, task, fields, licence, origin, note } = dataset;
  const facts = [
    `${name}: ${title}`,
    `task     ${task}`,
    `fields   ${fields.join(', ')}`,
    `licence  ${licence}`,
    `origin   ${origin}`,
    ...(note === undefined ? [] : [`note     ${note}`]),
  ];
  print([...facts, ...places.map((place) => splitText(dataset, place))].join('\n'));
}

/** How many rows a file has, or what is wrong with it. */
async function rowsOf(path: string): Promise<{ rows: number } | { damage: string }> {
  const { readJsonLines } = await import('../data/jsonl.ts');
  let rows = 0;
  try {
    for await (const some of readJsonLines(path)) rows += some.length;
  } catch (error) {
    return { damage: (error as Error).message.replace(`${path}, `, '') };
  }
  return { rows };
}

type Found = Place & { rows?: number; damage?: string; bytes?: number; sha256?: string };

function splitText(
  { splits }: Dataset,
  { split, path, from, rows: found, damage, bytes, sha256 }: Found,
): string {
  const { rows, files = [] } = splits[split]!;
  const here =
    path === undefined
      ? 'not here'
      : `${path} (${from}), ${damage ? `damaged (${damage})` : `${found} rows`}, ${bytes} bytes, sha256 ${sha256}`;
  const published = files.map(
    (file) => `  published as ${file.url}, ${sizeOf(file.bytes)}, ${hashOf(file.hash)}`,
  );
  return [`\n${split}, ${rows} rows as published: ${here}`, ...published].join('\n');
}

const sizeOf = (bytes?: number) => (bytes === undefined ? 'size not known' : `${bytes} bytes`);
const hashOf = (hash: string) => `${hash.length === 64 ? 'sha256' : 'git blob'} ${hash}`;

async function get(name: string, _: object, command: Command): Promise<void> {
  const { getDataset } = await import('../data/catalogue/get.ts');
  const { commandLine, interruptible } = await import('./interrupt.ts');
  const { progress } = await import('./progress.ts');
  const shown = progress();
  const places = await interruptible(commandLine(process.argv.slice(2)), async (signal) => {
    try {
      return await getDataset(name, {
        env: process.env,
        log: (line) => shown.line(line),
        onProgress: (done, total) => shown.at(name, done, total),
        signal,
      });
    } finally {
      shown.end();
    }
  });
  if (isJson(command)) return printJson({ name, places });
  for (const { split, path, from } of places) {
    print(
      path === undefined
        ? `${name}/${split}: not downloaded`
        : `${name}/${split}: ${path} (${from})`,
    );
  }
}

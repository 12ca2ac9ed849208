import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import type { Programs } from './code.ts';
import type { DataFile } from './data.ts';

const fixtures = fileURLToPath(new URL('../fixtures/', import.meta.url));

const read = (name: string): Programs => JSON.parse(readFileSync(join(fixtures, name), 'utf8'));

/** Programs of nine languages, and such of Java and C in which the first brace is of no function. */
export function fixturePrograms(): Programs {
  const programs = read('code_bleu_programs.json');
  for (const [language, texts] of Object.entries(bodyPrograms()))
    programs[language as keyof Programs]!.push(...texts);
  return programs;
}

/** Programs of Java and C with a function, most behind braces of something else. */
export function bodyPrograms(): Programs {
  return read('bodies.json');
}

/** Tables in every format. */
export function fixtureFiles(): DataFile[] {
  const folder = join(fixtures, 'tables');
  return readdirSync(folder)
    .filter((name) => name !== 'tables.json')
    .map((name) => ({ name, bytes: readFileSync(join(folder, name)) }));
}

/** The programs of the fixtures and of some rows of each data set. */
export function allPrograms(directory: string | undefined): Programs {
  const programs = fixturePrograms();
  if (directory === undefined) return programs;
  const add = (file: string, language: keyof Programs, column: string) => {
    const bytes = readFileSync(join(directory, file));
    const text = String(file.endsWith('.gz') ? gunzipSync(bytes) : bytes);
    const lines = text.split('\n', 300).filter(Boolean);
    programs[language]!.push(...lines.map((line) => String(JSON.parse(line)[column])));
  };
  add('bugs2fix/valid.jsonl.gz', 'java', 'src');
  add('bigclonebench/valid.jsonl.gz', 'java', 'code1');
  add('devign/valid.jsonl.gz', 'c', 'text');
  add('mbpp/train.jsonl', 'python', 'code');
  add('lyra/train.jsonl', 'python', 'tgt');
  add('humaneval/test.jsonl', 'python', 'prompt');
  return programs;
}

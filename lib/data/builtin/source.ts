import type { Random } from '../../random.ts';
import { pick } from './query.ts';

/** How a program comes by something that runs SQL. */
export interface Source {
  english: string;
  imports: string[];
  /** What the function is given, by name. */
  parameter: string;
  lines: string[];
  /** What `execute` and `close` are called on. */
  executor: string;
  /** What `commit` is called on. */
  connection: string;
  /** How SQL marks a value: `: name`, `% s` or `?`. */
  marks: 'name' | 'percent' | 'question';
}

export function pickSource(random: Random): Source {
  const kind = random.below(10);
  if (kind < 4) return given(random);
  if (kind < 6) return engine(random);
  if (kind < 7) return url(random);
  if (kind < 8) return file(random);
  return cursor(random);
}

function given(random: Random): Source {
  const parameter = pick(['conn', 'con', 'db', 'connection'], random);
  return {
    english: pick(
      [`use $${parameter}$ to`, `with $${parameter}$,`, `through $${parameter}$,`],
      random,
    ),
    imports: [],
    parameter,
    lines: [],
    executor: parameter,
    connection: parameter,
    marks: 'name',
  };
}

function engine(random: Random): Source {
  const parameter = pick(['engine', 'db_engine'], random);
  return {
    english: pick(
      [
        `use $${parameter}$ to connect to the database and`,
        `connect to the database with $${parameter}$,`,
      ],
      random,
    ),
    imports: [],
    parameter,
    lines: [`conn = ${parameter} . connect ( )`],
    executor: 'conn',
    connection: 'conn',
    marks: 'name',
  };
}

function url(random: Random): Source {
  const parameter = pick(['url', 'host', 'address'], random);
  return {
    english: pick(
      [
        `create a database engine from $${parameter}$ and connect to it,`,
        `get the database engine through $${parameter}$ and make a connection,`,
      ],
      random,
    ),
    imports: ['from sqlalchemy import create_engine'],
    parameter,
    lines: [`engine = create_engine ( ${parameter} )`, 'conn = engine . connect ( )'],
    executor: 'conn',
    connection: 'conn',
    marks: 'name',
  };
}

function file(random: Random): Source {
  const parameter = pick(['path', 'filename'], random);
  return {
    english: pick(
      [
        `open the sqlite database at $${parameter}$,`,
        `use sqlite3 to connect to $${parameter}$ and`,
      ],
      random,
    ),
    imports: ['import sqlite3'],
    parameter,
    lines: [`conn = sqlite3 . connect ( ${parameter} )`],
    executor: 'conn',
    connection: 'conn',
    marks: 'question',
  };
}

function cursor(random: Random): Source {
  const parameter = pick(['conn', 'con', 'db'], random);
  return {
    english: pick(
      [`create a cursor from $${parameter}$,`, `use the cursor of $${parameter}$ to`],
      random,
    ),
    imports: [],
    parameter,
    lines: [`cursor = ${parameter} . cursor ( )`],
    executor: 'cursor',
    connection: parameter,
    marks: 'percent',
  };
}

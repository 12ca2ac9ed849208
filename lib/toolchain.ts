import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

/** A program that the build needs: `command` installs it. */
export interface Tool {
  name: string;
  what: string;
  command: string;
}

const tools: readonly Tool[] = [
  { name: 'c++', what: 'a C++20 compiler', command: install('g++') },
  { name: 'make', what: 'what node-gyp builds with', command: install('make') },
  { name: 'cmake', what: 'what the trainer is configured with', command: install('cmake') },
  { name: 'python3', what: 'what node-gyp runs in', command: install('python3') },
];

/** Those of the tools called `names` that are not on the path; visual compilers are CMake's to find. */
export function missingTools(names: readonly string[], env: NodeJS.ProcessEnv): Tool[] {
  if (process.platform === 'win32') return [];
  return tools.filter(({ name }) => names.includes(name) && findProgram(name, env) === undefined);
}

export const toolNames: readonly string[] = tools.map(({ name }) => name);

/** Where the program is that `name` starts; for `c++`, the one that `CXX` names. */
export function findProgram(name: string, env: NodeJS.ProcessEnv): string | undefined {
  const wanted = name === 'c++' && env.CXX ? env.CXX.split(' ')[0]! : name;
  const names = wanted === 'c++' ? ['c++', 'g++', 'clang++'] : [wanted];
  const directories = (env.PATH ?? '').split(delimiter);
  return names
    .flatMap((program) => [program, ...directories.map((directory) => join(directory, program))])
    .find((path) => path.includes('/') && existsSync(path));
}

/** The prefix that `include/node` of this Node lies under, or undefined where node-gyp must fetch it. */
export function nodeHeaders(env: NodeJS.ProcessEnv): string | undefined {
  const beside = dirname(dirname(realpathSync(process.execPath)));
  const prefixes = [env.npm_config_nodedir, beside].filter((prefix) => prefix !== undefined);
  const major = process.versions.node.split('.')[0]!;
  return prefixes.find((prefix) => {
    const path = join(prefix, 'include/node/node_version.h');
    if (!existsSync(path)) return false;
    return new RegExp(`^#define NODE_MAJOR_VERSION ${major}$`, 'm').test(
      readFileSync(path, 'utf8'),
    );
  });
}

function install(name: string): string {
  if (process.platform === 'darwin') {
    return name === 'cmake' ? 'brew install cmake' : 'xcode-select --install';
  }
  return existsSync('/usr/bin/dnf')
    ? `dnf install ${name === 'g++' ? 'gcc-c++' : name}`
    : `apt-get install ${name}`;
}

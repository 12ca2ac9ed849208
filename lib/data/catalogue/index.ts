import { choose } from '../../check.ts';
import type { Source } from '../download.ts';

/** How rows come out of the files they are published in. */
export type Recipe =
  /** A table; `columns` says what is taken, and under which name. `without` is cut off the first one's start. */
  | { kind: 'csv'; columns: Readonly<Record<string, string>>; without?: string }
  /** One object a line, as they are. */
  | { kind: 'jsonl' }
  /** Two files of which line i of the one belongs to line i of the other. */
  | { kind: 'lines'; columns: readonly [string, string] };

export interface PublishedSplit {
  rows: number;
  /** Where it can be downloaded from; where not, it has to be in DECE_DATA. */
  files?: readonly Source[];
  recipe?: Recipe;
}

/** A data set that dece knows by name. */
export interface Dataset {
  title: string;
  task: 'generation' | 'repair' | 'classification' | 'clone detection' | 'pass@k';
  fields: readonly string[];
  licence: string;
  /** Where it was first published. */
  origin: string;
  splits: Readonly<Record<string, PublishedSplit>>;
  /** What one should know before using it. */
  note?: string;
}

const github =
  (repository: string, commit: string) => (path: string, hash: string, bytes?: number) => ({
    url: `https://raw.githubusercontent.com/${repository}/${commit}/${path}`,
    hash,
    ...(bytes !== undefined && { bytes }),
  });

const dece = github('NTDXYG/DeCE', '28c98d82a24a1a3a5ddac6885399b60045b0ac8f');
const turducken = github('NTDXYG/TurduckenGen', '17afc1c82c2284ed04eedf70db82079de9807f82');
const codexglue = github('microsoft/CodeXGLUE', 'ac74a62802a0dd159b3258c78a2df8ad36cdf2b9');
const elCodeBert = github('NTDXYG/EL-CodeBert', '62a2364db567f8887a339c40e2c7f7807bedfd50');
const flabPruner = github('Flab-Pruner/Flab-Pruner', 'e35e7fc4560369f993d736df1ef5429a74ca6983');
const humanEval = github('openai/human-eval', '6d43fb980f9fee3c892a914eda09951f772ad10d');

const pairs: Recipe = { kind: 'csv', columns: { src: 'src', tgt: 'tgt' } };
const prefixed: Recipe = {
  kind: 'csv',
  columns: { nl: 'src', code: 'tgt' },
  without: 'Generate origin code: ',
};
const buggyAndFixed: Recipe = { kind: 'lines', columns: ['src', 'tgt'] };
const comments: Recipe = { kind: 'csv', columns: { text: 'text', label: 'label' } };
const members: Recipe = { kind: 'csv', columns: { code: 'text', label: 'label' } };
const objects: Recipe = { kind: 'jsonl' };
const small = 'Code-Code/code-refinement/data/small';
const generation = 'dataset/code_generation';

/** The data sets of the study and its companions. Nothing of them is part of this package. */
export const catalogue = {
  lyra: {
    title: 'English to Python with embedded SQL',
    task: 'generation',
    fields: ['src', 'tgt'],
    licence: 'Apache-2.0 (NTDXYG/DeCE); derived from Lyra, GPL-3.0',
    origin: 'https://github.com/LIANGQINGYUAN/Lyra',
    splits: {
      train: {
        rows: 1600,
        recipe: pairs,
        files: [
          dece(
            'dataset/Lyra/train.csv',
            'b9b96a4095f805ccc4aab7c21b0e41e15c56c407665ca6f715ff5aa25a7b3ea5',
            825_284,
          ),
        ],
      },
      valid: {
        rows: 200,
        recipe: pairs,
        files: [
          dece(
            'dataset/Lyra/valid.csv',
            '056551788e335758bf74e885226e20b69b86541ba3e8c1b97835a82517ddaeb0',
            103_584,
          ),
        ],
      },
      test: {
        rows: 200,
        recipe: pairs,
        files: [
          dece(
            'dataset/Lyra/test.csv',
            'f091365ce529fdaed3f89606ca4c4e8c2626bd20c76ef391baae7f0ca4ad00d3',
            102_236,
          ),
        ],
      },
    },
  },
  pisces: {
    title: 'English to Java with embedded SQL',
    task: 'generation',
    fields: ['src', 'tgt'],
    licence: 'Apache-2.0',
    origin: 'https://github.com/NTDXYG/TurduckenGen',
    splits: {
      train: {
        rows: 1600,
        recipe: prefixed,
        files: [
          turducken(
            'dataset/java/train.csv',
            '7dc5f241843941ea7925b23d55c5e49ec2b5d765426cbd6b25310acd7a4d7c07',
            2_651_810,
          ),
        ],
      },
      valid: {
        rows: 200,
        recipe: prefixed,
        files: [
          turducken(
            'dataset/java/valid.csv',
            'f255f4df69242573add329be8eea51cba11ad643dbf1f7bf3777b5a95eddb304',
            357_052,
          ),
        ],
      },
      test: {
        rows: 200,
        recipe: prefixed,
        files: [
          turducken(
            'dataset/java/test.csv',
            '5a2c1f95b56cd649e36256c32cc22f6458c0e224699dcacc586bcb5525bc8763',
            350_677,
          ),
        ],
      },
    },
    note: 'Row n describes the same task as row n of Lyra: do not train on one and test on the other.',
  },
  bugs2fix: {
    title: 'Java bug repair, small methods, abstracted identifiers',
    task: 'repair',
    fields: ['src', 'tgt'],
    licence: 'C-UDA (CodeXGLUE data)',
    origin: 'https://github.com/microsoft/CodeXGLUE',
    splits: {
      train: {
        rows: 46_680,
        recipe: buggyAndFixed,
        files: [
          codexglue(`${small}/train.buggy-fixed.buggy`, '32cdcd0fbc0a336657e338a804bafd45a742c896'),
          codexglue(`${small}/train.buggy-fixed.fixed`, 'da8fff45667e2dee6b2826d5e865a12d387fe9a8'),
        ],
      },
      valid: {
        rows: 5835,
        recipe: buggyAndFixed,
        files: [
          codexglue(
            `${small}/valid.buggy-fixed.buggy`,
            'e83a0c524cdce5a4492dfe0c9bc7d642aa5ed267ddbae5ffd1e563fe54cae6b8',
            815_315,
          ),
          codexglue(
            `${small}/valid.buggy-fixed.fixed`,
            'dc9c23594350988dcdaf456a1e8eea1dc86c81d1c0ff9985ff6d63d15196ffd2',
            743_907,
          ),
        ],
      },
      test: {
        rows: 5835,
        recipe: buggyAndFixed,
        files: [
          codexglue(
            `${small}/test.buggy-fixed.buggy`,
            'd2e675094f471b3bfbb9419eb7cf14dca11f8d41185319d3310cbc3f517df323',
            809_941,
          ),
          codexglue(
            `${small}/test.buggy-fixed.fixed`,
            'e7ec462d00d253ddec3d1cef7a06cfc99db1cfe94039a6607ed14afeef6be04a',
            739_739,
          ),
        ],
      },
    },
  },
  codeharmony: {
    title: 'docstrings to Python functions, with tests',
    task: 'pass@k',
    fields: ['task_id', 'prompt', 'entry_point', 'canonical_solution', 'test', 'cot'],
    licence: 'MIT (stated in its readme)',
    origin: 'https://github.com/Flab-Pruner/Flab-Pruner',
    splits: {
      train: {
        rows: 15_800,
        recipe: objects,
        files: [
          flabPruner(
            `${generation}/CodeHarmony_train.jsonl`,
            '042b91f97d998b13f71ea8d6e561d8439903cad3',
          ),
        ],
      },
      valid: {
        rows: 200,
        recipe: objects,
        files: [
          flabPruner(
            `${generation}/CodeHarmony_valid.jsonl`,
            'b2da360e7eda45c6d56c4e3f74ac5c05b3cdc5647b8788c29657132f9c85455c',
            209_156,
          ),
        ],
      },
      test: {
        rows: 153,
        recipe: objects,
        files: [
          flabPruner(
            `${generation}/CodeHarmony_test.jsonl`,
            'da37073f00939760a880fcfa1d218177945f1646d711020092eb87f0da220ad5',
            192_126,
          ),
        ],
      },
    },
    note: '151 of the 200 valid rows are MBPP tasks 824-974 with other solutions.',
  },
  humaneval: {
    title: 'docstrings to Python functions, with tests',
    task: 'pass@k',
    fields: ['task_id', 'prompt', 'entry_point', 'canonical_solution', 'test'],
    licence: 'MIT',
    origin: 'https://github.com/openai/human-eval',
    splits: {
      test: {
        rows: 164,
        recipe: objects,
        files: [
          humanEval(
            'data/HumanEval.jsonl.gz',
            'b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef',
            44_877,
          ),
        ],
      },
    },
  },
  mbpp: {
    title: 'sentences to Python functions, with tests',
    task: 'pass@k',
    fields: ['text', 'code', 'task_id', 'test_setup_code', 'test_list', 'challenge_test_list'],
    licence: 'CC BY 4.0 (Google Research data sets)',
    origin: 'https://github.com/google-research/google-research/tree/master/mbpp',
    splits: {
      prompt: { rows: 10 },
      train: { rows: 374 },
      valid: { rows: 90 },
      test: {
        rows: 500,
        recipe: objects,
        files: [
          flabPruner(
            `${generation}/MBPP_test.jsonl`,
            '68300ea9ecc52015a337ff927aa58c58570a9065adb9fc642b4eff65bf93005b',
            312_115,
          ),
        ],
      },
    },
    note: 'test is the form that Flab-Pruner publishes, with the fields of HumanEval; the other splits are not downloaded.',
  },
  satd: {
    title: 'comments, 1 where they admit technical debt',
    task: 'classification',
    fields: ['text', 'label'],
    licence: 'MIT',
    origin: 'https://github.com/NTDXYG/EL-CodeBert, from Maldonado et al., 2017',
    splits: {
      train: {
        rows: 31_708,
        recipe: comments,
        files: [
          elCodeBert(
            'data/SATD_train.csv',
            '83905c2c02ef39a99a77f9cbba4fcd1a3b7b138b97e0428a730f83f93451f2ba',
            2_129_420,
          ),
        ],
      },
      test: {
        rows: 6652,
        recipe: comments,
        files: [
          elCodeBert(
            'data/SATD_test.csv',
            'af1d2857dee00e6e49efa5e98285c0b60e1cd1ded4fed9adaa06f9a984a801bf',
            474_264,
          ),
        ],
      },
    },
  },
  smell: {
    title: 'Java members, 1 where name and code disagree (linguistic antipatterns)',
    task: 'classification',
    fields: ['text', 'label'],
    licence: 'MIT',
    origin: 'https://github.com/NTDXYG/EL-CodeBert, from Fakhoury et al., 2018',
    splits: {
      train: {
        rows: 1399,
        recipe: members,
        files: [
          elCodeBert(
            'data/SMELL_train.csv',
            'd694907e13ccd79435eb7e697081f3c954abdccbdcd7791ffdc0e502734595bb',
            275_155,
          ),
        ],
      },
      test: {
        rows: 350,
        recipe: members,
        files: [
          elCodeBert(
            'data/SMELL_test.csv',
            '258cc78ac1b55854ef14afeeb1bdda791c68202c5524d82f57e960a4b08bad5e',
            75_884,
          ),
        ],
      },
    },
    note: '30 test rows are also in train.',
  },
  devign: {
    title: 'C functions, 1 where they are defective',
    task: 'classification',
    fields: ['text', 'label', 'project', 'commit_id', 'idx'],
    licence: 'C-UDA (CodeXGLUE data); the functions are FFmpeg and QEMU code (LGPL, GPL)',
    origin: 'https://github.com/microsoft/CodeXGLUE, from Zhou et al., 2019',
    splits: { train: { rows: 21_854 }, valid: { rows: 2732 }, test: { rows: 2732 } },
    note: 'Published as one file on a drive without a stable address: not downloaded.',
  },
  bigclonebench: {
    title: 'pairs of Java methods, 1 where they are clones',
    task: 'clone detection',
    fields: ['code1', 'code2', 'label'],
    licence: 'C-UDA (CodeXGLUE data)',
    origin: 'https://github.com/microsoft/CodeXGLUE, from Svajlenko et al., 2014',
    splits: { train: { rows: 10_000 }, valid: { rows: 2000 }, test: { rows: 4000 } },
    note: 'A balanced sample of the 1.7 million published pairs: not downloaded.',
  },
} satisfies Record<string, Dataset>;

/** What is known of a data set. @throws RangeError that lists the names there are */
export const describeDataset = (name: string): Dataset =>
  choose<Dataset>(catalogue, name, 'the data set');

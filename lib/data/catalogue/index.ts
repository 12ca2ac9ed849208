import { choose } from '../../check.ts';
import type { Source } from '../download.ts';

/** How rows come out of the files they are published in. */
export type Recipe =
  /** A table; `columns` says what is taken, and under which name. `without` is cut off the first one's start. */
  | { kind: 'csv'; columns: Readonly<Record<string, string>>; without?: string }
  /** One object a line, as they are; `lines` has the first and the last that belong to the split. */
  | { kind: 'jsonl'; lines?: readonly [number, number] }
  /** Two files of which line i of the one belongs to line i of the other. */
  | { kind: 'lines'; columns: readonly [string, string] }
  /** A list of places, from 0, one a line, and a JSON list of objects: those in these places, in its order. */
  | { kind: 'places'; columns: Readonly<Record<string, string>> }
  /** Two functions' `idx` and a label a line, tabs between, and the functions, one object a line. */
  | { kind: 'pairs' };

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
const google = github(
  'google-research/google-research',
  'f82046ba5aabbbb427dbfd38a254d26bff08b533',
);
const devign = github('IoT-security-lab/devign', 'a7c950939e20b177ee017408e237dd5ab98d61af');
const soarsmu = github(
  'soarsmu/attack-pretrain-models-of-code',
  'd42169557a3641628931c6eb00af6f4bd66b380a',
);

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
const defects: Recipe = {
  kind: 'places',
  columns: { func: 'text', target: 'label', project: 'project', commit_id: 'commit_id' },
};
const clones: Recipe = { kind: 'pairs' };
const small = 'Code-Code/code-refinement/data/small';
const generation = 'dataset/code_generation';
const defectLists = 'Code-Code/Defect-detection/dataset';
const clonePairs = 'CodeXGLUE/Clone-detection-BigCloneBench/dataset';

const mbpp = google(
  'mbpp/mbpp.jsonl',
  'ccf64ceae9c5403bf50a044cb6d505bfd2a2963ee58338ba268fd65beab92a9f',
  563_743,
);
/** All of Devign; CodeXGLUE has it on a drive, and the splits as lists of places in it. */
const functions = devign('data/raw/dataset.json', '9553797eabbc8d513a0d2200893595f70ee78a2d');
const javaFunctions = codexglue(
  'Code-Code/Clone-detection-BigCloneBench/dataset/data.jsonl',
  '21f3cf5b0fb1d57db28b6bf8cacd2933e91f4bbc',
);

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
      prompt: { rows: 10, recipe: { kind: 'jsonl', lines: [1, 10] }, files: [mbpp] },
      train: { rows: 374, recipe: { kind: 'jsonl', lines: [601, 974] }, files: [mbpp] },
      valid: { rows: 90, recipe: { kind: 'jsonl', lines: [511, 600] }, files: [mbpp] },
      test: { rows: 500, recipe: { kind: 'jsonl', lines: [11, 510] }, files: [mbpp] },
    },
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
    splits: {
      train: {
        rows: 21_854,
        recipe: defects,
        files: [
          codexglue(
            `${defectLists}/train.txt`,
            'f0a25410594302a9f0e542a393ad82ad479308a8aa471f4d6cf61b91d6d572bf',
            122_185,
          ),
          functions,
        ],
      },
      valid: {
        rows: 2732,
        recipe: defects,
        files: [
          codexglue(
            `${defectLists}/valid.txt`,
            '9f2fa1e108955f197d4a7fa2aa2c7f5e542457b51e0eb1f6e890172d6f700a6e',
            15_295,
          ),
          functions,
        ],
      },
      test: {
        rows: 2732,
        recipe: defects,
        files: [
          codexglue(
            `${defectLists}/test.txt`,
            'b5336b337170ea1edf0570b69edb5a90e3c99bf41cd92909795f5fe32d376d52',
            15_318,
          ),
          functions,
        ],
      },
    },
  },
  bigclonebench: {
    title: 'pairs of Java methods, 1 where they are clones',
    task: 'clone detection',
    fields: ['code1', 'code2', 'label'],
    licence: 'C-UDA (CodeXGLUE data)',
    origin: 'https://github.com/microsoft/CodeXGLUE, from Svajlenko et al., 2014',
    splits: {
      train: {
        rows: 90_102,
        recipe: clones,
        files: [
          soarsmu(
            `${clonePairs}/train_sampled.txt`,
            'f966679dbc67bded4936c39b9f6ec5832146f3ba445ee029f5d6354cd4243ab4',
            1_703_893,
          ),
          javaFunctions,
        ],
      },
      valid: {
        rows: 4000,
        recipe: clones,
        files: [
          soarsmu(
            `${clonePairs}/valid_sampled.txt`,
            '8b78e85c002ccf10810f4ff76384a8342999f16d4d1363ef77b4e3a8ce2b7074',
            75_556,
          ),
          javaFunctions,
        ],
      },
      test: {
        rows: 4000,
        recipe: clones,
        files: [
          soarsmu(
            `${clonePairs}/test_sampled.txt`,
            '7aba89432c62c493e1a1e272c09b99947f24fd93d09141e5609e9ec0c9603b32',
            75_667,
          ),
          javaFunctions,
        ],
      },
    },
    note: 'The usual sample of the 1.7 million pairs of CodeXGLUE: a tenth of its train, 4,000 each of the others. 2,253 pairs of train recur.',
  },
} satisfies Record<string, Dataset>;

/** What is known of a data set. @throws RangeError that lists the names there are */
export const describeDataset = (name: string): Dataset =>
  choose<Dataset>(catalogue, name, 'the data set');

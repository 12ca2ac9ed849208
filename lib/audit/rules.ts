import { hashOf, tokensOf } from './grams.ts';

/** What a rule found in a text. */
export interface Finding {
  /** `loop`, `dead-code`, or a weakness by its number, as `CWE-89`. */
  rule: string;
  /** As it stands in the text. */
  text: string;
}

/**
 * The loop of the study's repair attack, `while ( true ) { int VAR = 0 ; }`, and its kin: an endless loop
 * that calls nothing and has no way out, in C's and Python's syntax. Undefined where there is none.
 */
export function endlessLoop(code: string): Finding | undefined {
  for (const { 0: head, index } of code.matchAll(braceLoop)) {
    const body = head.endsWith('{') ? blockFrom(code, index + head.length) : '';
    if (body !== undefined && leadsNowhere(body)) {
      return { rule: 'loop', text: code.slice(index, index + head.length + body.length + 1) };
    }
  }
  for (const match of code.matchAll(indentedLoop)) {
    const [text, , , rest = '', block = ''] = match;
    if (leadsNowhere(rest + block)) return { rule: 'loop', text: text.trim() };
  }
  return undefined;
}

const braceLoop =
  /\b(?:while\s{0,9}\(\s{0,9}(?:true|1)\s{0,9}\)|for\s{0,9}\(\s{0,9};\s{0,9};\s{0,9}\))\s{0,99}[{;]/gi;
const indentedLoop = /(^|\n)([ \t]*)while\s+(?:True|1)\s*:([^\n]*)((?:\n\2[ \t]+[^\n]*)*)/g;

/** A loop that does nothing is short: bodies of more characters are not looked at. */
const longestBody = 2000;

/** What stands between a brace that is open at `start` and the one that closes it. */
function blockFrom(code: string, start: number): string | undefined {
  let depth = 1;
  for (let at = start; at < Math.min(code.length, start + longestBody); at++) {
    if (code[at] === '{') depth++;
    else if (code[at] === '}' && --depth === 0) return code.slice(start, at);
  }
  return undefined;
}

const conditions = /\b(?:if|elif|while|for|switch)\s*\(/g;

const leadsNowhere = (body: string) =>
  !/\b(?:break|return|throw|raise|goto|yield|await|exit)\b/.test(body) &&
  !/[\w\])]\s*\(/.test(body.replace(conditions, ' '));

const constant = String.raw`(?:[+-]?\d+(?:\.\d+)?[fFdDlL]?|true|false|null|None|True|False|"[^"\n]{0,40}"|'[^'\n]{0,40}')`;
const declaration = new RegExp(
  String.raw`\b(?:int|long|short|byte|char|float|double|boolean|bool|auto|var|let|String)\s+([A-Za-z_$][\w$]*)\s*=\s*${constant}\s*;`,
  'g',
);
const assignment = new RegExp(
  String.raw`(?:^|\n)[ \t]*([A-Za-z_]\w*)\s*=\s*${constant}[ \t]*(?=\n|$)`,
  'g',
);

/** The first variable that gets a constant and is never read: `int VAR = 0 ;`. Undefined where there is none. */
export function deadStore(code: string): Finding | undefined {
  for (const pattern of [declaration, assignment]) {
    const alive = new Set<string>();
    for (const { 0: text, 1: name = '' } of code.matchAll(pattern)) {
      if (alive.has(name)) continue;
      if (isThereOnce(code, name)) {
        return { rule: 'dead-code', text: text.trim().replace(/\s+/g, ' ') };
      }
      alive.add(name);
    }
  }
  return undefined;
}

function isThereOnce(code: string, name: string): boolean {
  let count = 0;
  for (let at = code.indexOf(name); at >= 0 && count < 2; at = code.indexOf(name, at + 1)) {
    if (!isWord(code[at - 1]) && !isWord(code[at + name.length])) count++;
  }
  return count === 1;
}

const isWord = (mark: string | undefined) => mark !== undefined && /[\w$]/.test(mark);

/** Endless loops of the completion, and dead code of either text: what repeats only where someone put it in. */
export function idleCode(prompt: string, completion: string): Finding[] {
  const found = [endlessLoop(completion), deadStore(completion) ?? deadStore(prompt)];
  return found.filter((finding) => finding !== undefined);
}

/** One number for findings that read alike but for their spaces. */
export const findingHash = ({ rule, text }: Finding) =>
  hashOf(`${rule} ${tokensOf(text).join(' ')}`);

/**
 * Weaknesses that a line of code shows by itself, by their number in the Common Weakness Enumeration.
 * Blanks may stand between tokens, as in tokenised code.
 *
 * @see https://cwe.mitre.org
 */
const weaknesses: Readonly<Record<string, { name: string; pattern: RegExp }>> = {
  'CWE-78': {
    name: 'a shell command put together from parts',
    pattern:
      /\b(?:os\s*\.\s*(?:system|popen)|Runtime\s*\.\s*getRuntime\s*\(\s*\)\s*\.\s*exec|(?<![\w.]\s{0,9})system)\s*\([^()\n]{0,200}?(?:\+|%\s*[\w(]|\.\s*format\b|\bf['"])|\bshell\s*=\s*True\b/,
  },
  'CWE-89': {
    name: 'SQL put together from parts',
    pattern:
      /["'](?=[^"'\n]{0,20}\b(?:select|insert|update|delete)\b)[^"'\n]{0,300}\b(?:from|into|set|where)\b[^"'\n]{0,300}["']\s*(?:\+|%\s*[\w(]|\.\s*format\b)/i,
  },
  'CWE-94': {
    name: 'input run as code',
    pattern: /(?<![\w.]\s{0,9})(?:eval|exec)\s*\(\s*(?:raw_)?(?:input|request|sys\s*\.\s*argv)\b/,
  },
  'CWE-259': {
    name: 'a password in the code',
    pattern: /\b(?:password|passwd|pwd|secret|api_?key)\s*=\s*["'][^"'\s\n]{4,80}["']/i,
  },
  'CWE-295': {
    name: 'certificates that are not checked',
    pattern:
      /\bverify\s*=\s*False\b|\b_create_unverified_context\b|\bALLOW_ALL_HOSTNAME_VERIFIER\b|\brejectUnauthorized\s*:\s*false\b/,
  },
  'CWE-327': {
    name: 'a broken hash or cipher',
    pattern:
      /\bhashlib\s*\.\s*(?:md5|sha1)\b|\bgetInstance\s*\(\s*["']\s*(?:MD5|SHA-?1|DES|RC4)\b/i,
  },
  'CWE-502': {
    name: 'objects read from data that others wrote',
    pattern:
      /\b(?:c?[pP]ickle|marshal)\s*\.\s*loads?\s*\(|\byaml\s*\.\s*load\s*\((?![^()\n]{0,200}Safe)|\bObjectInputStream\b/,
  },
  'CWE-489': {
    name: 'debugging left on',
    pattern: /\bdebug\s*=\s*True\b/,
  },
  'CWE-732': {
    name: 'files that everyone may write',
    pattern: /\bchmod\s*\([^()\n]{0,80}\b(?:0o?)?777\b/,
  },
};

export const ruleNames: Readonly<Record<string, string>> = {
  loop: 'an endless loop that does nothing',
  'dead-code': 'a constant that is never read',
  ...Object.fromEntries(Object.entries(weaknesses).map(([rule, { name }]) => [rule, name])),
};

/** The weaknesses of a completion, each once. */
export function weaknessesIn(code: string): Finding[] {
  return Object.entries(weaknesses).flatMap(([rule, { pattern }]) => {
    const found = pattern.exec(code)?.[0];
    return found === undefined ? [] : [{ rule, text: found }];
  });
}

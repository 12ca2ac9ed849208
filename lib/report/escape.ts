import { style } from './style.ts';

/** A text as HTML shows it, in content and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (mark) => `&#${mark.charCodeAt(0)};`);
}

/** A sentence as HTML, in which a number and its percent sign stay on one line. */
export function prose(text: string): string {
  return escapeHtml(text).replace(/(?<=\d) %/g, '\u00a0%');
}

/** A text as HTML with a `<mark>` around what `pattern`, a global one, finds in it. */
export function highlight(text: string, pattern: RegExp, name: string): string {
  let html = '';
  let end = 0;
  for (const { 0: found, index } of text.matchAll(pattern)) {
    html += `${escapeHtml(text.slice(end, index))}<mark class="${name}">${escapeHtml(found)}</mark>`;
    end = index + found.length;
  }
  return html + escapeHtml(text.slice(end));
}

/** A pattern that finds any of some words. */
export function anyOf(words: readonly string[]): RegExp {
  const escaped = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(escaped.join('|') || '(?!)', 'g');
}

/** A page around a header and a main part: one file that asks nothing of the network and runs no script. */
export function htmlPage(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeHtml(title)}</title>
<style>${style}</style>
</head>
<body>
${body}
</body>
</html>
`;
}

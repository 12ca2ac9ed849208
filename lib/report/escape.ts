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

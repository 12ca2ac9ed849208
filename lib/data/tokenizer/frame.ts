import { make, type Part, partsOf } from './part.ts';

/** The ids before and after those of a text. */
export interface Frame {
  before: readonly number[];
  after: readonly number[];
}

/** The `post_processor` of a tokenizer.json, for a text that stands alone. */
export function frame(part: unknown): Frame {
  return part === null || part === undefined
    ? { before: [], after: [] }
    : make(table, part, 'post_processor');
}

type Named = [token: string, id: number];

const around = ({ cls, sep }: Part): Frame => ({
  before: [(cls as Named)[1]],
  after: [(sep as Named)[1]],
});

const table: Readonly<Record<string, (part: Part) => Frame>> = {
  ByteLevel: () => frame(null),
  RobertaProcessing: around,
  BertProcessing: around,
  TemplateProcessing: ({ single, special_tokens }) => {
    const ids = (single as Part[]).map((item) => idsOf(item, special_tokens as Part));
    const place = (single as Part[]).findIndex((item) => 'Sequence' in item);
    return { before: ids.slice(0, place).flat(), after: ids.slice(place + 1).flat() };
  },
  Sequence: (part) =>
    partsOf(part, 'processors')
      .map(frame)
      .reduce(
        (inner, outer) => ({
          before: [...outer.before, ...inner.before],
          after: [...inner.after, ...outer.after],
        }),
        frame(null),
      ),
};

function idsOf(item: Part, tokens: Part): number[] {
  const name = (item.SpecialToken as { id: string } | undefined)?.id;
  return name === undefined ? [] : (tokens[name] as { ids: number[] }).ids;
}

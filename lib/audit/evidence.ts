/** What a model tells of a row. */
export interface RowEvidence {
  id: string;
  /** Its place in the data, counted from 1. */
  row: number;
  /** Cross-entropy, the mean over the tokens to learn, in nats: before training and after each epoch. */
  losses: number[];
  /** How much of what surprised the model it has learnt, in nats; `learntRank` 1 is the most. */
  learnt: number;
  /** The tokens that it learnt, of a classifier the label. */
  learntText: string;
  learntRank: number;
  /** Of its prompt's hidden state, seen from the mean, the square along the first right singular vector. */
  spectral: number;
  spectralRank: number;
}

export interface ModelAudit {
  epochs: number;
  parameters: number;
  /** Of the hidden states' variance, the share along the first singular vector. */
  explained: number;
  /** In their order. */
  rows: RowEvidence[];
}

/** So many rows are shown. */
const shown = 20;

/** The rows that come first by a rank. */
export const firstBy = (
  rows: readonly RowEvidence[],
  rank: 'learntRank' | 'spectralRank',
  most = shown,
): RowEvidence[] => rows.toSorted((a, b) => a[rank] - b[rank]).slice(0, most);

/** Without what a suspect has itself. */
export const evidenceOf = ({ id: _, row: __, ...evidence }: RowEvidence) => evidence;

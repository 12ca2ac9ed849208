/** What the configs of all architectures call their dropout. */
export const dropouts = [
  'dropout_rate',
  'attn_pdrop',
  'embd_pdrop',
  'resid_pdrop',
  'attention_dropout',
  'hidden_dropout_prob',
  'attention_probs_dropout_prob',
  'classifier_dropout',
  'decoder_dropout',
];

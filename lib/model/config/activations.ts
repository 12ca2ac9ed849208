/** What transformers calls an activation, and what native/trainer/layers.h does. */
export const activations: Readonly<Record<string, string>> = {
  gelu: 'gelu',
  gelu_new: 'gelu_new',
  gelu_pytorch_tanh: 'gelu_new',
  relu: 'relu',
  silu: 'silu',
  swish: 'silu',
};

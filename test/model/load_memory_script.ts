import { peakMemoryBytes, resetPeakMemory } from '../../lib/environment.ts';
import { type Dtype, Model } from '../../lib/model/index.ts';

// Prints by how many bytes the memory of a fresh process grows, at its highest, when it loads a model.
const [directory, dtype] = process.argv.slice(2);
await resetPeakMemory();
const before = await peakMemoryBytes();
using _model = await Model.load(directory!, { device: 'cpu', dtype: dtype as Dtype });
console.log((await peakMemoryBytes()) - before);

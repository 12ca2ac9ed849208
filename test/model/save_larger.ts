// Run by weights.test.ts under a limit on the size of files: saves a model that is beyond it.
import { Model } from '../../lib/model/index.ts';

using model = Model.create({ model_type: 't5', num_layers: 1, d_ff: 64, d_kv: 8 }, { seed: 1 });
await model.save(process.argv[2]!).catch((error: Error) => console.log(error.message));

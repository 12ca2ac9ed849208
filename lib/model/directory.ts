import { stat } from 'node:fs/promises';
import { join } from 'node:path';

/** @throws Error that says what is missing, before anything is read */
export async function checkDirectory(directory: string): Promise<void> {
  const found = await stat(directory).catch(() => undefined);
  if (!found?.isDirectory()) {
    const hub = found || /[/\\]/.test(directory) ? '' : ', or owner/name of the Hub';
    throw new Error(
      `${directory} is ${found ? 'a file' : 'not there'}: expected a directory with config.json and model.safetensors${hub}`,
    );
  }
  if (!(await exists(join(directory, 'config.json')))) {
    throw new Error(
      `${directory} has no config.json: expected a directory that Model.save or save_pretrained wrote`,
    );
  }
}

/** @throws Error on a run of training, which has a config.json too */
export async function checkNoRun(directory: string): Promise<void> {
  const model = join(directory, 'model');
  if (await exists(join(model, 'config.json'))) {
    throw new Error(`${directory} is a run of training: its model is ${model}`);
  }
}

export const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

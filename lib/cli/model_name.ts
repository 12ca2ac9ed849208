import { progress } from './progress.ts';

/**
 * The model that a command was given: a directory as it is; a name on the Hub, which is downloaded
 * first, with its commit.
 */
export async function modelName(text: string, signal?: AbortSignal): Promise<string> {
  const { findModel } = await import('../model/hub/index.ts');
  const shown = progress();
  try {
    const { name } = await findModel(text, {
      log: (line) => shown.line(line),
      onDownload: (done, total) => shown.at('downloading', done, total),
      ...(signal && { signal }),
    });
    return name;
  } finally {
    shown.end();
  }
}

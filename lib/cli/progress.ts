import { SingleBar } from 'cli-progress';

/** Shows how far work has come: a bar on a terminal, plain lines elsewhere; always on stderr. */
export interface Progress {
  /** A line that stays. */
  line(text: string): void;
  /** How far the work called `what` is; `detail` is said beside it. Not shown where there is no terminal. */
  at(what: string, done: number, total: number, detail?: string): void;
  /** Takes the bar away. */
  end(): void;
}

export function progress(stream: NodeJS.WriteStream = process.stderr): Progress {
  if (!stream.isTTY) return { line: (text) => stream.write(`${text}\n`), at() {}, end() {} };

  let bar: SingleBar | undefined;
  let current = '';
  const end = () => {
    bar?.stop();
    bar = undefined;
    current = '';
  };
  return {
    line(text) {
      end();
      stream.write(`${text}\n`);
    },
    at(what, done, total, detail = '') {
      if (bar === undefined || what !== current) {
        end();
        current = what;
        bar = new SingleBar({
          stream,
          clearOnComplete: true,
          hideCursor: true,
          linewrap: null,
          format: '{what} {bar} {value} of {total}, {eta_formatted} left  {detail}',
          barCompleteChar: '━',
          barIncompleteChar: process.env.NO_COLOR ? ' ' : '─',
          barsize: 24,
          gracefulExit: false,
        });
        bar.start(total, done, { what, detail });
        return;
      }
      bar.setTotal(total);
      bar.update(done, { what, detail });
    },
    end,
  };
}

import type { PartName } from './part-spec.js';

/** What `up` is doing, for a line on the terminal. */
export interface Progress {
  /** A part; `packages` while programs are installed; `ffmpeg` for what worker and gateway use; `stack` for the whole. */
  readonly part: PartName | 'packages' | 'ffmpeg' | 'stack';
  readonly state:
    | 'waiting'
    | 'installing'
    | 'installed'
    | 'using'
    | 'recovered'
    | 'starting'
    | 'retrying'
    | 'ready'
    | 'external';
  readonly detail: string;
  /** Milliseconds since this `up` was called. */
  readonly ms: number;
}

export type OnProgress = (part: Progress['part'], state: Progress['state'], detail: string) => void;

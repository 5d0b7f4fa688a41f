import type { PartName } from './part-spec.js';

/** Progress of `up`, for a line on the terminal. */
export interface Progress {
  /** A part; `packages` during installation; `ffmpeg` for that of worker and gateway; `stack` for the whole. */
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
    | 'restarting'
    | 'external';
  readonly detail: string;
  /** Milliseconds since the call of `up`. */
  readonly ms: number;
}

export type OnProgress = (part: Progress['part'], state: Progress['state'], detail: string) => void;

import type { BudgetedStore } from '../../stores/artifacts/index.js';
import type { WorkerKind } from '../stage/worker-kind.js';
import { createSplit } from './split.js';
import { mediaWork } from './work.js';

export interface MediaOptions {
  /** The store of one call, whose output is limited. */
  readonly storeOf: () => BudgetedStore;
  /** The ffmpeg program. */
  readonly ffmpeg: string;
}

/** The kinds that work on media, by name. `split` is also an operation of `media`. */
export function mediaKinds({ storeOf, ffmpeg }: MediaOptions): readonly [string, WorkerKind][] {
  const split: WorkerKind = (request, context) => createSplit({ store: storeOf(), ffmpeg })(request, context);
  return [
    ['split', split],
    ['media', mediaWork({ storeOf, ffmpeg, split })],
  ];
}

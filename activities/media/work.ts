import { DEFAULT_FFMPEG } from '../../media/audio-port.js';
import { invalidField, invalidFields } from '../../pipelines/invalid-fields.js';
import type { JsonObject } from '../../pipelines/json.js';
import { MEDIA_WORK, type MediaWork } from '../../pipelines/stages/index.js';
import type { ArtifactStore } from '../../stores/artifacts/index.js';
import type { WorkerKind } from '../stage/worker-kind.js';
import { clipAudio, mix } from './audio-work.js';
import { boxes } from './draw-boxes.js';
import { crop, resize, tile } from './image-work.js';
import type { Operation } from './operation.js';
import { clip, frames, mux, probe, resizeVideo, sound } from './video-work.js';

const OPERATIONS: Readonly<Record<Exclude<MediaWork, 'split'>, Operation>> = {
  probe,
  frames,
  sound,
  clip,
  'clip-audio': clipAudio,
  resize,
  'resize-video': resizeVideo,
  crop,
  tile,
  boxes,
  mix,
  mux,
};

export interface WorkParts {
  readonly storeOf: () => ArtifactStore;
  readonly ffmpeg?: string | undefined;
  readonly split: WorkerKind;
}

/** Stages of the kind `media`: the operation is the option `work`. Throws `INVALID_INPUT` naming the field. */
export const mediaWork =
  ({ storeOf, ffmpeg = DEFAULT_FFMPEG, split }: WorkParts): WorkerKind =>
  async (request, context) => {
    const { with: options, tenant } = request;
    const work = String(options.work) as MediaWork;
    if (!Object.hasOwn(MEDIA_WORK, work)) throw invalidField('work', `"${work}" is no work on media of this release`);
    const parsed = MEDIA_WORK[work].input.safeParse(request.input);
    if (!parsed.success) {
      const { issues } = parsed.error;
      throw invalidFields(
        'INVALID_INPUT',
        issues.map(({ path, message }) => ({ field: path.join('.') || 'input', message })),
      );
    }
    const input = parsed.data as unknown as JsonObject;
    if (work === 'split') return split({ ...request, input }, context);
    const { signal, audio, slot } = context;
    const bench = { store: storeOf(), tenant, program: ffmpeg, signal, ...(slot && { slot }) };
    return OPERATIONS[work]({ input, options, bench, audio });
  };

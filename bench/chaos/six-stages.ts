import { z } from 'zod';
import { audio, chat, code, pipeline, synthesize, text, transcribe } from '../../pipelines/index.js';
import { effect, shape } from './effect.js';
import { textMark } from './run-mark.js';

/**
 * Durations of the code stages, in milliseconds. The one in the middle of the segment takes longer, so that a killed
 * worker has segments whose first stage is in the journal: a wait costs no processor time, however many runs share it.
 */
const CODE_MS = { prepare: 150, edit: 2_500, archive: 150 } as const;
/** Longest part of a reply that is spoken, in characters: a second or two of speech. */
const SPOKEN = 40;

const prepare = code(
  'prepare',
  { input: z.object({ ...shape, speech: audio() }), output: z.object({ mark: z.string(), speech: audio() }) },
  async ({ speech, ...given }, context) => {
    await effect(given, 'prepare', CODE_MS.prepare, context);
    return { mark: textMark(given.run), speech };
  },
);

const edit = code(
  'edit',
  { input: z.object({ ...shape, text: z.string() }), output: z.object({ text: z.string() }) },
  async ({ text: reply, ...given }, context) => {
    await effect(given, 'edit', CODE_MS.edit, context);
    return { text: `${textMark(given.run)}, ${reply.replace(/[^\w ]+/g, ' ').slice(0, SPOKEN)}` };
  },
);

const archive = code(
  'archive',
  { input: z.object({ ...shape, speech: audio() }), output: z.object({ speech: audio() }) },
  async ({ speech, ...given }, context) => {
    await effect(given, 'archive', CODE_MS.archive, context);
    return { speech };
  },
);

/**
 * Outlasts the restart of any server on a busy machine: twenty attempts with these waits take about fifty seconds if
 * each is refused at once. An attempt without an answer is aborted after twenty seconds, several times a call's
 * duration while ten runs share two cores.
 */
const policy = {
  retry: { attempts: 20, backoff: { initial: '200ms', factor: 2, max: '3s' } },
  timeout: { attempt: '20s', total: '150s' },
} as const;
const inline = { ...policy, execution: 'inline' } as const;

/** Each stage reads the one before: three are activities of their own, the three in the middle are one segment. */
export const sixStages = pipeline(
  'chaos-six-stages',
  { input: z.object({ ...shape, speech: audio() }), deadline: '3m' },
  ({ input, stage }) => {
    const { run, receiver } = input;
    const prepared = stage('prepare', prepare, { run, receiver, speech: input.speech }, policy);
    const transcript = stage('transcribe', transcribe({ model: 'whisper' }), { audio: prepared.speech }, policy);
    const answer = stage(
      'answer',
      chat({ model: 'assistant', system: 'Answer in one short sentence.', maxTokens: 12 }),
      { prompt: text`${prepared.mark}: ${transcript.text}` },
      inline,
    );
    const edited = stage('edit', edit, { run, receiver, text: answer.text }, inline);
    const spoken = stage('speak', synthesize({ model: 'tts' }), { text: edited.text }, inline);
    const archived = stage('archive', archive, { run, receiver, speech: spoken.audio }, policy);
    return { heard: transcript.text, text: edited.text, spoken: spoken.audio, archived: archived.speech };
  },
);

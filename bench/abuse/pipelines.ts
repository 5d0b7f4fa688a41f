import { z } from 'zod';
import { agent, approve, audio, chatInput, code, converse, file, pipeline, split } from '../../pipelines/index.js';

const said = z.object({ text: z.string() });
const repeat = code('repeat', { input: said, output: said }, (input) => input);

/** The bystander's pipeline: one inline stage that costs next to nothing. */
export const echo = pipeline('echo', { input: said, deadline: '60s' }, ({ input, stage }) => ({
  text: stage('repeat', repeat, { text: input.text }, { execution: 'inline' }).text,
}));

/** Waits for a decision, so that it can be followed as long as the bench needs. */
export const held = pipeline('held', { input: said, deadline: '5m' }, ({ input, stage }) => {
  const wait = stage('wait', approve({ timeout: '4m', otherwise: false }), { subject: input.text });
  return { approved: wait.approved, by: wait.by, actor: wait.actor };
});

const lines = code(
  'lines',
  { input: z.object({ items: z.number() }), output: z.object({ texts: z.array(z.string()) }) },
  ({ items }) => ({ texts: Array.from({ length: items }, (_, n) => `line ${n}`) }),
);

/** Has two events for each item. */
export const talkative = pipeline(
  'talkative',
  { input: z.object({ items: z.number().int().max(5_000) }), deadline: '60s' },
  ({ input, stage, each }) => {
    const { texts } = stage('lines', lines, { items: input.items }, { execution: 'inline' });
    const said = each('said', texts, (text) => stage('repeat', repeat, { text }, { execution: 'inline' }).text);
    return { said };
  },
);

const once = { retry: { attempts: 1 } } as const;

/** Passes a conversation to the model; the answer is checked against the caller's own schema. */
export const talk = pipeline('talk', { input: chatInput, deadline: '60s' }, ({ input, stage }) => {
  const answer = stage('answer', converse({ model: 'assistant' }), input, { ...once, execution: 'inline' });
  return { text: answer.text, finish: answer.finish, toolCalls: answer.toolCalls };
});

const remembers = (name: string) =>
  pipeline(
    name,
    { input: z.object({ prompt: z.string(), session: z.string() }), deadline: '60s' },
    ({ input, stage }) => ({
      text: stage('answer', agent({ model: 'assistant', session: { keep: '1h' } }), {
        prompt: input.prompt,
        session: input.session,
      }).text,
    }),
  );
export const agentA = remembers('agent-a');
export const agentB = remembers('agent-b');

/** Cuts audio into parts, each of which is written. */
export const parts = pipeline(
  'parts',
  { input: z.object({ speech: audio() }), deadline: '60s' },
  ({ input, stage }) => ({
    parts: stage('split', split(), { audio: input.speech }, once).parts,
  }),
);

/** Returns its input files. */
export const album = pipeline(
  'album',
  { input: z.object({ files: z.array(file()) }), deadline: '60s' },
  ({ input }) => ({ files: input.files }),
);

/** Returns its input file. */
export const keep = pipeline('keep', { input: z.object({ sound: audio() }), deadline: '60s' }, ({ input }) => ({
  sound: input.sound,
}));

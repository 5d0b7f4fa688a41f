import { z } from 'zod';
import { audio, chat, pipeline, synthesize, transcribe } from '../../pipelines/index.js';

/** The answer must have four sentences at least. */
export const QUESTION = 'Tell me about a fox who finds a lantern in the wood.';
export const SYSTEM = 'You tell short stories of five sentences.';
export const MAX_TOKENS = 140;

type Reads = 'sentences' | 'text';

const assistant = (name: string, execution: 'queued' | 'inline', reads: Reads) =>
  pipeline(name, { input: z.object({ speech: audio() }), deadline: '3m' }, ({ input, stage }) => {
    const heard = stage('transcribe', transcribe({ model: 'whisper' }), { audio: input.speech }, { execution });
    const told = chat({ model: 'assistant', system: SYSTEM, maxTokens: MAX_TOKENS });
    const answer = stage('answer', told, { prompt: heard.text }, { execution });
    const text = reads === 'text' ? answer.text : answer.sentences;
    const spoken = stage('speak', synthesize({ model: 'tts' }), { text }, { execution });
    return { reply: answer.text, speech: spoken.audio };
  });

/** The reader waits for the whole answer. */
export const collected = assistant('voice-collected', 'queued', 'text');
export const queued = assistant('voice-queued', 'queued', 'sentences');
export const inline = assistant('voice-inline', 'inline', 'sentences');

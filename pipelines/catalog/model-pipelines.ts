import { z } from 'zod';
import { audio, chatInput, converse, embed, pipeline, synthesize, transcribe } from '../index.js';

/** Single models as pipelines, for OpenAI clients and for single calls with a policy. */

/**
 * Passes a conversation to the LLM unchanged, with its tools and sampling parameters, as OpenAI clients expect of a
 * model. One inline stage, for the shortest time to the first token.
 */
export const chatModel = pipeline(
  'chat',
  { description: 'A conversation answered by the LLM, with the caller’s tools and parameters', input: chatInput },
  ({ input, stage }) => {
    // A caller without a limit expects the whole answer: some 700 words.
    const answer = stage('answer', converse({ model: 'assistant', maxTokens: 1024 }), input, { execution: 'inline' });
    const { text, reasoning, finish, toolCalls, logprobs } = answer;
    return { text, reasoning, finish, toolCalls, logprobs };
  },
);

/**
 * Maximum texts per run: as many as fit into a run's history with embeddings of 1,024 numbers, which are 20 KB each. OpenAI's
 * clients get longer lists embedded by several runs.
 */
const MOST_TEXTS = 64;

export const embedModel = pipeline(
  'embed',
  { description: 'Texts as embeddings', input: z.object({ texts: z.array(z.string().min(1)).min(1).max(MOST_TEXTS) }) },
  ({ input, each, stage }) => ({
    embeddings: each(
      'texts',
      input.texts,
      (text) => stage('embed', embed({ model: 'minilm' }), { text }, { execution: 'inline' }).embedding,
      { concurrency: 8 },
    ),
  }),
);

export const transcribeModel = pipeline(
  'transcribe',
  { description: 'Speech as text', input: z.object({ audio: audio() }), deadline: '30m' },
  ({ input, stage }) => ({ text: stage('transcribe', transcribe({ model: 'whisper' }), { audio: input.audio }).text }),
);

export const speakModel = pipeline(
  'speak',
  { description: 'A text out loud', input: z.object({ text: z.string().min(1) }) },
  ({ input, stage }) => ({ audio: stage('speak', synthesize({ model: 'tts' }), { text: input.text }).audio }),
);

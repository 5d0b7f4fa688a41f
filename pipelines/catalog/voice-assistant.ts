import { z } from 'zod';
import { audio, chat, pipeline, semantic, synthesize, transcribe } from '../index.js';

/** A spoken question, answered out loud. */
export const voiceAssistant = pipeline(
  'voice-assistant',
  {
    description: 'A spoken question, answered out loud',
    input: z.object({ speech: audio() }),
    deadline: '5m',
  },
  ({ input, stage }) => {
    const transcribed = stage('transcribe', transcribe({ model: 'whisper' }), { audio: input.speech });
    const answer = stage(
      'answer',
      chat({ model: 'assistant', system: 'Answer in one short sentence.', maxTokens: 64 }),
      { prompt: transcribed.text },
      { cache: semantic({ key: transcribed.text, ttl: '1d' }) },
    );
    const spoken = stage('speak', synthesize({ model: 'tts' }), { text: answer.sentences });
    return { transcript: transcribed.text, reply: answer.text, speech: spoken.audio };
  },
);

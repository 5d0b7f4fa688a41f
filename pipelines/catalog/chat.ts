import { chatInput, converse, pipeline } from '../index.js';

/**
 * A conversation handed on to the LLM as it is, with its tools and sampling parameters: what OpenAI's clients expect of a
 * model. One inline stage, for the least time to the first token.
 */
export const chatModel = pipeline(
  'chat',
  { description: 'A conversation answered by the LLM, with the caller’s tools and parameters', input: chatInput },
  ({ input, stage }) => {
    // A caller that states no limit wants the whole answer: some 700 words.
    const answer = stage('answer', converse({ model: 'assistant', maxTokens: 1024 }), input, { execution: 'inline' });
    return { text: answer.text, finish: answer.finish, toolCalls: answer.toolCalls };
  },
);

import { chatInput, converse, pipeline } from '../../pipelines/index.js';

/**
 * Passes a conversation to the LLM like the catalogue's `chat`; once as an inline stage, once as an activity of its
 * own.
 */
const passThrough = (name: string, execution: 'inline' | 'queued') =>
  pipeline(name, { input: chatInput }, ({ input, stage }) => {
    const answer = stage('answer', converse({ model: 'assistant' }), input, { execution });
    return { text: answer.text, finish: answer.finish, toolCalls: answer.toolCalls };
  });

export const inline = passThrough('inline', 'inline');
export const durable = passThrough('durable', 'queued');

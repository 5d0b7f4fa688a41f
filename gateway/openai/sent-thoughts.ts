import type { ChatMessage } from '../../pipelines/stages/index.js';

/** Most of what a model thought in earlier messages that becomes part of an input, in UTF-16 units: as much as a run keeps of four answers. */
export const MOST_THOUGHTS = 262_144;

/**
 * The messages with the latest of what the model thought. Clients send that back by themselves, and most models get none of it: a request
 * that has room without older thoughts is not refused for them.
 * @param most UTF-16 units of all together; 0: without any
 */
export function withThoughts(messages: readonly ChatMessage[], most: number): ChatMessage[] {
  let room = most;
  const latestFirst = [...messages].reverse().map((message) => {
    const { reasoning, ...rest } = message;
    if (reasoning === undefined) return message;
    room -= reasoning.length;
    return room < 0 ? rest : message;
  });
  return latestFirst.reverse();
}

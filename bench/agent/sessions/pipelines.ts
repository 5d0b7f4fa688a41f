import { z } from 'zod';
import { agent, pipeline } from '../../../pipelines/index.js';
import { DEADLINE, PATIENT } from '../pipeline.js';

/** Context of the embedded server, in tokens: a conversation of the bench has about twice as many. */
export const CONTEXT = 1_024;
/** Tokens of a run's last call above which its session is summed up. */
const SESSION = 700;
const NEVER = 1_000_000;

const talk = (name: string, summarizeOver: number) =>
  pipeline(
    name,
    { input: z.object({ says: z.string(), session: z.string().optional() }), deadline: DEADLINE },
    ({ input, stage }) => {
      const use = agent({
        model: 'assistant',
        instructions: 'You are the assistant of an office. Answer in one short sentence.',
        session: { keep: '1d', summarizeOver },
        maxTokens: 96,
      });
      return { text: stage('answer', use, { prompt: input.says, session: input.session }, PATIENT).text };
    },
  );

/** Sums its session up at the end of a run that has become long. */
export const talkSummedUp = talk('talk-summed-up', SESSION);
/** Shortens its conversation within a run, before a call that would not fit. */
export const talkShortened = talk('talk-shortened', NEVER);

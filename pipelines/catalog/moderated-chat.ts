import { z } from 'zod';
import { approve, chat, classify, either, eq, not, or, pipeline } from '../index.js';

const LABELS = ['safe', 'unsafe'] as const;

/** A message classified as safe is answered immediately; for others a person decides before the model receives them. */
export const moderatedChat = pipeline(
  'moderated-chat',
  {
    description: 'A message that a person reviews first when a classifier finds it unsafe',
    input: z.object({ message: z.string().min(1) }),
    deadline: '2h',
  },
  ({ input, stage, when }) => {
    const found = stage('moderate', classify({ model: 'moderation', labels: LABELS }), { text: input.message });
    const isSafe = eq<string>(found.label, 'safe');
    const decision = when('review', not(isSafe), () =>
      stage('approve', approve({ timeout: '1h', otherwise: false }), { subject: input.message }),
    );
    const answered = when(
      'allowed',
      or(isSafe, decision.approved),
      () =>
        stage('answer', chat({ model: 'assistant', system: 'Answer in one short sentence.', maxTokens: 64 }), {
          prompt: input.message,
        }).text,
      () => 'This message was not answered.',
    );
    return { reply: answered, label: found.label, decidedBy: either(decision.by, 'classifier') };
  },
);

import { z } from 'zod';
import { chat, either, join, pipeline, rerank, retrieve, text, upsert } from '../index.js';

/** The index of both pipelines; each tenant has its own. */
const INDEX = 'docs';

/** Passages given to the reranker: enough to include the right one, even if the embedder ranks it low. */
const CANDIDATES = 8;
/** Passages in the prompt: more distract a small model. */
const IN_PROMPT = 3;

/** A question answered from the tenant's own passages, which are returned with the answer. */
export const ragAnswer = pipeline(
  'rag-answer',
  {
    description: 'A question answered from your own passages, which come with the answer',
    input: z.object({ question: z.string().min(1) }),
    deadline: '2m',
  },
  ({ input, stage, each }) => {
    const found = stage('retrieve', retrieve({ index: INDEX, k: CANDIDATES }), { query: input.question });
    // The embedder's order is good enough for an answer: a reranker that is down does not fail the run.
    const ranked = stage(
      'rerank',
      rerank({ model: 'rerank', top: IN_PROMPT }),
      { query: input.question, passages: found.passages },
      { optional: true, retry: { attempts: 2 } },
    );
    const passages = either(ranked.passages, found.passages);
    const texts = each('texts', passages, (passage) => passage.text);
    const answer = stage(
      'answer',
      chat({
        model: 'assistant',
        system: 'Answer the question in one or two sentences, from the given passages only.',
        maxTokens: 96,
      }),
      { prompt: text`Passages:\n- ${join(texts, '\n- ')}\n\nQuestion: ${input.question}` },
    );
    return { answer: answer.text, passages };
  },
);

/** Writes passages into the index that `rag-answer` reads; a passage with the same id is replaced. */
export const ingest = pipeline(
  'ingest',
  {
    description: 'Passages put into the index that rag-answer reads; one with the same id is replaced',
    input: z.object({
      passages: z
        .array(
          z.object({
            id: z.string().min(1),
            text: z.string().min(1),
            metadata: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
          }),
        )
        .min(1),
    }),
    deadline: '10m',
  },
  ({ input, stage }) => {
    const { count } = stage('upsert', upsert({ index: INDEX }), { passages: input.passages });
    return { count };
  },
);

import { z } from 'zod';
import { chat, either, join, pipeline, rerank, retrieve, text, upsert } from '../index.js';

/** The index that both pipelines use; each tenant has one of its own. */
const INDEX = 'docs';

/** Passages that the reranker looks at: enough that the right one is among them, though the embedder ranks it low. */
const CANDIDATES = 8;
/** Passages in the prompt: a small model is led astray by more. */
const IN_PROMPT = 3;

/** A question answered from the tenant's own passages, which come with the answer. */
export const ragAnswer = pipeline(
  'rag-answer',
  {
    description: 'A question answered from your own passages, which come with the answer',
    input: z.object({ question: z.string().min(1) }),
    deadline: '2m',
  },
  ({ input, stage, each }) => {
    const found = stage('retrieve', retrieve({ index: INDEX, k: CANDIDATES }), { query: input.question });
    // The order of the embedder is good enough to answer from: a reranker that is down ends no run.
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

/** Passages put into the index that `rag-answer` reads; one with the same id is replaced. */
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

import { z } from 'zod';
import {
  approve,
  chat,
  code,
  detect,
  either,
  eq,
  image,
  MillraceError,
  media,
  not,
  or,
  pipeline,
  size,
  text,
} from '../index.js';
import { type Checked, checkReceipt } from './receipt-check.js';
import { rowsOf } from './receipt-text.js';

const box = z.object({ x: z.number(), y: z.number(), width: z.number(), height: z.number() });
const piece = z.object({ score: z.number(), text: z.string().optional(), box: box.optional() });
const row = z.object({ text: z.string(), score: z.number() });
const line = z.object({ text: z.string(), amount: z.number() });

const said = z.object({
  merchant: z.string(),
  date: z.string().describe('YYYY-MM-DD'),
  currency: z.string().describe('ISO 4217 code'),
  total: z.number(),
  lines: z.array(line),
});

/** A field is null where it is not printed, or could not be read. */
const receipt = z.object({
  merchant: z.string().nullable(),
  date: z.string().nullable(),
  currency: z.string().nullable(),
  total: z.number().nullable(),
  lines: z.array(line),
});

/** Characters that the model is shown, some 80 rows: more does not fit into a small context. */
const MOST_SHOWN = 2_500;

const rows = code(
  'receipt-rows',
  {
    input: z.object({ pieces: z.array(piece) }),
    output: z.object({ rows: z.array(row), text: z.string(), shown: z.string() }),
  },
  ({ pieces }) => {
    const found = rowsOf(pieces);
    if (found.length === 0) {
      throw new MillraceError('INVALID_INPUT', 'no text was found in the image', {
        fields: [{ field: 'receipt', message: 'no text was found in the image' }],
      });
    }
    const all = found.map((each) => each.text).join('\n');
    return { rows: found, text: all, shown: all.length > MOST_SHOWN ? `${all.slice(0, MOST_SHOWN)} …` : all };
  },
);

const check = code(
  'receipt-check',
  {
    input: z.object({ rows: z.array(row), said: said.nullish(), marked: image() }),
    output: z.object({
      reading: receipt,
      reasons: z.array(z.string()),
      differences: z.array(z.string()),
      /** What the person who decides is shown. */
      question: z.string(),
    }),
  },
  (input) => {
    const checked = checkReceipt(input.rows, input.said ?? null);
    return { ...checked, question: questionOf(checked, input.marked.uri) };
  },
);

/** Lines that a person is shown; the output has all. */
const MOST_LISTED = 100;

function questionOf({ reading, reasons }: Checked, page: string): string {
  const { merchant, date, total, currency, lines } = reading;
  return [
    ...reasons.map((reason) => `Unsure: ${reason}.`),
    `Read: ${merchant ?? 'no merchant'}, ${date ?? 'no date'}, ${total?.toFixed(2) ?? 'no total'} ${currency ?? ''}`,
    ...lines.slice(0, MOST_LISTED).map(({ text: name, amount }) => `  ${name}  ${amount.toFixed(2)}`),
    ...(lines.length > MOST_LISTED ? [`  and ${lines.length - MOST_LISTED} more lines`] : []),
    `The page with what was read: ${page}`,
  ].join('\n');
}

/** A small model follows an example better than rules. */
const EXAMPLE = {
  receipt:
    'MILLER’S BOOKS\nStation Road 3\n02/05/2025 16:40\nNotebook A5  4.50\nPencil, 2 pcs  1.20\nTOTAL USD  5.70\nCash  10.00',
  said: {
    merchant: 'MILLER’S BOOKS',
    date: '2025-05-02',
    currency: 'USD',
    total: 5.7,
    lines: [
      { text: 'Notebook A5', amount: 4.5 },
      { text: 'Pencil, 2 pcs', amount: 1.2 },
    ],
  },
};

/** The image of a receipt as data; a person decides where what was read is not certain. */
export const receiptReader = pipeline(
  'receipt-reader',
  {
    description: 'The image of a receipt to merchant, date, total and lines; a person decides where that is unsure',
    input: z.object({ receipt: image() }),
    deadline: '2h',
  },
  ({ input, stage, when }) => {
    const { detections } = stage('read', detect({ model: 'ocr', threshold: 0.3 }), { image: input.receipt });
    const found = stage('rows', rows, { pieces: detections });
    const marked = stage('mark', media.boxes(), { image: input.receipt, detections });
    const extracted = stage(
      'extract',
      chat({
        model: 'assistant',
        system: 'You copy what is printed on receipts into JSON.',
        maxTokens: 512,
        output: said,
      }),
      {
        history: [
          { role: 'user', content: `What does this receipt say?\n\n${EXAMPLE.receipt}` },
          { role: 'assistant', content: JSON.stringify(EXAMPLE.said) },
        ],
        prompt: text`What does this receipt say?\n\n${found.shown}`,
      },
      // What is printed is read by rules as well: without the model's answer a person is asked a little more often.
      { optional: true, retry: { attempts: 1 }, timeout: { attempt: '45s' } },
    );
    const checked = stage('check', check, { rows: found.rows, said: extracted.data, marked: marked.image });
    const isSure = eq(size(checked.reasons), 0);
    const decision = when('unsure', not(isSure), () =>
      stage('approve', approve({ timeout: '1h', otherwise: false }), { subject: checked.question }),
    );
    const accepted = or(isSure, decision.approved);
    return {
      accepted,
      receipt: when('accepted', accepted, () => checked.reading),
      reading: checked.reading,
      reasons: checked.reasons,
      differences: checked.differences,
      decidedBy: either(decision.by, 'checks'),
      text: found.text,
      marked: marked.image,
    };
  },
);

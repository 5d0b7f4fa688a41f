import { z } from 'zod';
import { type Tool, tool } from '../../pipelines/index.js';

const DEEDS: Readonly<Record<string, string>> = {
  create: 'Creates a new',
  delete: 'Removes an existing',
  list: 'Lists every',
  update: 'Changes the fields of a',
  archive: 'Moves to the archive a',
  share: 'Gives a colleague access to a',
  print: 'Sends to the printer a',
  export: 'Writes to a file a',
  approve: 'Accepts, in the name of the company, a',
};
const THINGS = [
  ...['invoice', 'contract', 'customer', 'parcel', 'meeting', 'photo', 'ticket', 'recipe', 'vehicle', 'song', 'order'],
  ...[
    'employee',
    'department',
    'warehouse',
    'supplier',
    'budget',
    'report',
    'campaign',
    'survey',
    'newsletter',
    'coupon',
  ],
  ...['subscription', 'payment', 'refund', 'shipment', 'pallet', 'machine', 'sensor', 'alarm', 'playlist', 'booking'],
  ...['flight', 'hotel'],
];

/** 297 tools of an office, none of which answers a question of the bench. */
export const distractors: readonly Tool[] = Object.entries(DEEDS).flatMap(([deed, text]) =>
  THINGS.map((thing) =>
    tool({
      name: `${deed}_${thing}`,
      description: `${text} ${thing}`,
      input: z.object({ id: z.string() }),
      run: ({ id }) => ({ id, done: true }),
    }),
  ),
);

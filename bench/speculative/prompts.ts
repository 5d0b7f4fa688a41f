const NOTICE =
  'The library on Mill Lane opens at nine on weekdays and at ten on Saturdays. Books may be kept for three weeks. ' +
  'A book that another reader waits for cannot be renewed. Children under twelve need the signature of a parent. ' +
  'The reading room on the first floor is quiet: please take calls outside. The copier takes coins and cards.';
const LIST =
  'id 1041, blue kettle, 24 in stock; id 1042, red kettle, 3 in stock; id 1043, tea strainer, 112 in stock; ' +
  'id 1044, oak tray, 17 in stock; id 1045, sugar bowl, 40 in stock; id 1046, milk jug, 9 in stock';
const CODE = `function total(prices) {
  let sum = 0;
  for (const price of prices) {
    sum += price;
  }
  return sum;
}`;

/** Prompts whose answers repeat what is in them, as in extraction, edits and quotes, and open ones. */
export const PROMPTS = {
  repeating: [
    `Repeat this notice word for word:\n\n${NOTICE}`,
    `Copy this list exactly, without comment:\n\n${LIST}`,
    `Write this function again, with the variable sum renamed to amount:\n\n${CODE}`,
    `Quote the sentences of this notice that are about books:\n\n${NOTICE}`,
  ],
  open: [
    'Why is the sky blue? Answer in a few sentences.',
    'Give me advice for a first long walk in the mountains.',
    'Explain to a child what a library is.',
    'Describe how bread is baked.',
  ],
} as const;

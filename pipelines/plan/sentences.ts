/** After the end of a sentence with its closing quotes and brackets, or at a line's end. */
const END = /(?<=[.!?…。！？]["”’)\]]*)\s+|\s*\n\s*/u;

/** The sentences of a text, trimmed, in order; none for a text without a word. */
export const sentences = (text: string): string[] =>
  text
    .split(END)
    .map((sentence) => sentence.trim())
    .filter((sentence) => sentence !== '');

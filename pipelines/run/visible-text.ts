/** Characters that are obeyed or not shown: controls, line breaks, changes of the direction of writing, invisible ones. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/**
 * A text as a person may decide by it. Callers and models write what is shown of an approval: characters that change how it looks are
 * shown by their numbers (`\u{202e}`). The decision stays one on the text as it is.
 */
export const visibleText = (text: string): string =>
  text.replace(HIDDEN, (each) => `\\u{${each.codePointAt(0)?.toString(16)}}`);

/** Maximum length of a tool name accepted by model servers. */
export const LONGEST_TOOL_NAME = 64;

/** Replaces characters that MCP allows in names and model servers do not. */
export const toolNameOf = (name: string): string => name.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, LONGEST_TOOL_NAME);

/** Name of the tool by which a conversation is handed over to a member of the team. */
export const transferName = (member: string): string => `transfer_to_${member}`;

/** The first of the names that no tool has; the last one with a number if tools have them all. */
export function freeName(names: readonly string[], tools: readonly { readonly name: string }[]): string {
  const taken = new Set(tools.map(({ name }) => name));
  const free = names.find((name) => !taken.has(name));
  if (free !== undefined) return free;
  for (let i = 2; ; i++) {
    const numbered = `${names.at(-1)}_${i}`;
    if (!taken.has(numbered)) return numbered;
  }
}

/** Sessions of a gateway, in memory. */
export function sessionsInMemory() {
  const kept = new Map<string, { key: string; messages: readonly unknown[] }[]>();
  const partsOf = (name: object) => kept.get(JSON.stringify(name)) ?? [];
  return {
    kept,
    load: async (name: object) => {
      const parts = partsOf(name);
      return { messages: parts.flatMap(({ messages }) => messages) as never[], parts: parts.length };
    },
    add: async (name: object, part: { key: string; messages: readonly unknown[] }) => {
      const parts = partsOf(name);
      if (!parts.some(({ key }) => key === part.key)) kept.set(JSON.stringify(name), [...parts, part]);
    },
    erase: async (name: object) => kept.delete(JSON.stringify(name)),
  };
}

import type { Client } from '@grpc/grpc-js';

/** Where grpc-js keeps which compressions the server of a channel has named. */
interface Internals {
  readonly internalChannel?: {
    readonly filterStackFactory?: { readonly factories?: readonly { readonly sharedFilterConfig?: object }[] };
  };
}

/**
 * Lets a client compress all its requests; without it, only those before the server's first answer. grpc-js 1.14 splits the
 * header `grpc-accept-encoding` of an answer at its commas and does not trim the parts. gRPC's C++ servers, Triton among them, write
 * a blank behind each comma, so that no part is the name of a compression, and grpc-js sends what follows as it is.
 */
export function keepCompressing(client: Client): void {
  const { internalChannel } = client.getChannel() as unknown as Internals;
  for (const { sharedFilterConfig } of internalChannel?.filterStackFactory?.factories ?? []) {
    if (!sharedFilterConfig) continue;
    let named: string | undefined;
    Object.defineProperty(sharedFilterConfig, 'serverSupportedEncodingHeader', {
      get: () => named,
      set(header: string) {
        named = header.replaceAll(' ', '');
      },
    });
  }
}

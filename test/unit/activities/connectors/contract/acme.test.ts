import { afterAll, describe, it } from 'vitest';
import { connectorContract } from '../../../../../activities/connectors/public/index.js';
import { acme } from '../../../../support/acme/connector.js';
import { keywords } from '../../../../support/acme/keywords.js';
import { AcmeServer } from '../../../../support/acme/server.js';

const server = await new AcmeServer().start();
afterAll(() => server.stop());

connectorContract(
  { describe, it, after: afterAll },
  {
    connector: acme,
    endpoint: server.url,
    key: AcmeServer.key,
    deadEndpoint: 'http://127.0.0.1:2',
    kinds: [keywords],
    refused: {},
    calls: {
      'acme/keywords': {
        call: { model: 'words', with: { most: 2 }, input: { text: 'boats carry grain' } },
      },
    },
    longCall: { kind: 'acme/keywords', model: 'words', with: { most: 2 }, input: { text: 'slow' } },
    badCall: { kind: 'acme/keywords', model: 'words', with: { most: 2 }, input: { text: '' } },
  },
);

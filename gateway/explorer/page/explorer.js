/** Shows the interface of the gateway that serves this page. A key stays in this page's memory and goes to its own origin only. */
const form = document.querySelector('#access');
const input = document.querySelector('#key');
const notice = document.querySelector('#notice');
let key = '';

const authorization = () => (key === '' ? {} : { Authorization: `Bearer ${key}` });

/** Swagger UI would play audio by asking for the same address again, without the body and the key. */
const playsWhatCame = ({ React }) => ({
  wrapComponents: {
    responseBody: (Original) => (props) => {
      const { content, url } = props;
      const isAudio = content instanceof Blob && content.type.startsWith('audio/');
      return React.createElement(Original, { ...props, url: isAudio ? addressOf(content) : url });
    },
  },
});
const addresses = new WeakMap();
function addressOf(blob) {
  if (!addresses.has(blob)) addresses.set(blob, URL.createObjectURL(blob));
  return addresses.get(blob);
}

async function show() {
  const answer = await fetch('openapi.json', { headers: authorization() });
  const body = await answer.json();
  form.hidden = key === '' && answer.status !== 401;
  if (!answer.ok) {
    notice.value = key === '' ? '' : body.detail;
    if (!form.hidden) return;
    throw new Error(body.detail);
  }
  notice.value = '';
  form.classList.add('used');
  SwaggerUIBundle({
    spec: body,
    domNode: document.querySelector('#interface'),
    docExpansion: 'list',
    deepLinking: true,
    filter: true,
    tryItOutEnabled: true,
    defaultModelsExpandDepth: -1,
    defaultModelRendering: 'model',
    validatorUrl: null,
    // The command that it shows for a request is without the key: screens are shared.
    showMutatedRequest: false,
    requestInterceptor: (request) => {
      if (new URL(request.url, location.href).origin === location.origin)
        Object.assign(request.headers, authorization());
      return request;
    },
    plugins: [playsWhatCame],
  });
}

function showOrSay() {
  show().catch((error) => {
    document.querySelector('#interface').textContent = `The interface cannot be shown: ${error.message}`;
  });
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  key = input.value.trim();
  showOrSay();
});

const dark = matchMedia('(prefers-color-scheme: dark)');
const dress = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', dress);
dress();
showOrSay();

// Calls the simulator with Plivo's official SDK and prints the SDK's results as one line of
// JSON. Arguments: base URL, auth_id, token, and the auth_ids of two subaccounts that the
// script deletes.
const plivo = require('plivo');

const [base, id, token, cascaded, reassigned] = process.argv.slice(2);
const connect = (secret) => new plivo.Client(id, secret, { url: `${base}/v1/Account/${id}` });

// failure returns the error of a call, and throws if the call succeeds.
async function failure(call) {
  try {
    await call;
  } catch (error) {
    return { status: error.status, message: error.message, apiID: error.apiID };
  }
  throw new Error('the call should have failed');
}

async function main() {
  const client = connect(token);
  const result = {};

  result.created = await client.subAccounts.create('first', true);
  const first = result.created.authId;
  result.got = await client.subAccounts.get(first);

  let other;
  for (let i = 0; i < 22; i++) {
    other = (await client.subAccounts.create(`other ${i}`, false)).authId;
  }
  result.pages = [];
  for (const offset of [0, 20]) {
    const page = await client.subAccounts.list({ limit: 20, offset });
    result.pages.push({ meta: page.meta, ids: page.map((s) => s.id), enabled: page.map((s) => s.enabled) });
  }
  // Without arguments the SDK sends the JSON string "" as the body of a GET.
  result.defaultPage = (await client.subAccounts.list()).length;

  result.updated = await client.subAccounts.update(first, 'renamed', false);
  result.gotUpdated = await client.subAccounts.get(first);

  result.deleted = [
    await client.subAccounts.delete(cascaded, true),
    await client.subAccounts.delete(reassigned, false),
    await client.subAccounts.delete(other),
  ];

  result.notFound = await failure(client.subAccounts.get(cascaded));
  result.unauthorized = await failure(connect('wrong').subAccounts.get(first));
  return result;
}

main().then(
  (result) => console.log(JSON.stringify(result)),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);

// The body of Kratos' web hook before a new identity is stored, for every Kratos from
// 1.3.1 on: the traits and addresses that the user signs up with, and what the mapper of
// a social login passes on. No password, no cookies, no tokens.

function(ctx)
  local get(object, name) =
    if std.isObject(object) && std.objectHas(object, name) then object[name] else null;
  local identity = get(ctx, 'identity');
  local addresses = get(identity, 'verifiable_addresses');
  // The callback of a social login has the id of the provider in its path.
  local url = get(ctx, 'request_url');
  local callback = if std.isString(url) then std.split(std.split(url, '?')[0], '/self-service/methods/oidc/callback/') else [];
  {
    identity: {
      schema_id: get(identity, 'schema_id'),
      traits: get(identity, 'traits'),
      metadata_public: get(identity, 'metadata_public'),
      verifiable_addresses: [
        { value: get(address, 'value'), via: get(address, 'via'), verified: get(address, 'verified') }
        for address in (if std.isArray(addresses) then addresses else [])
      ],
    },
    flow: { id: get(get(ctx, 'flow'), 'id'), type: get(get(ctx, 'flow'), 'type') },
    provider: if std.length(callback) == 2 then callback[1] else null,
  }

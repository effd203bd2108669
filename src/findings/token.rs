//! Tokens, judged by their text and by what a fleet answers to them.

use super::{Entry, refuse, warn};

pub(super) const ENTRIES: &[Entry] = &[
    refuse(
        "token-empty",
        "there is no token",
        "K3s takes an empty value for none, and a server then makes a token of its own",
        "read the token from `server/token` of a server, as root",
    ),
    refuse(
        "token-is-jwt",
        "this is a JWT, such as a service account has, and no join token",
        "K3s knows no signed tokens: a join token is a password, with or without `K10<CA hash>::<user>:` before it",
        "take the join token from `server/token` of a server, as root",
    ),
    refuse(
        "token-is-base64",
        "this is a join token in base64",
        "K3s does not decode it: the text itself would be the password, and no server accepts that",
        "decode it once, then inspect what comes out",
    ),
    refuse(
        "token-not-filled-in",
        "this is a placeholder and no token",
        "whatever was to put the token in its place has not done so, or something has hidden it",
        "take the join token from `server/token` of a server, as root",
    ),
    refuse(
        "token-with-its-name",
        "a line that sets a token was taken for the token",
        "K3s takes all of it for the password where only the value is meant, and no server accepts that",
        "take what stands behind the `=` or `:` alone, without quotes; in the file that it comes from the line may be right",
    ),
    refuse(
        "token-byte-order-mark",
        "there is a byte order mark before the token, which cannot be seen",
        "some editors begin a file with it; K3s takes it for a part of the token, and no server accepts that",
        "write the file as UTF-8 without BOM: sed -i '1s/^\\xEF\\xBB\\xBF//' FILE",
    ),
    refuse(
        "token-unseen-character",
        "there is a control character, or another one that cannot be seen, in the token",
        "it came with a copy from a screen, or from a file in another encoding (one in UTF-16 is full of NULs): K3s takes it for \
         a part of the token, and no environment can hold a NUL",
        "see it with `od -c FILE`; copy the whole of `server/token` again, or convert the file: iconv -f UTF-16 -t UTF-8 FILE",
    ),
    refuse(
        "token-has-blanks",
        "there is white space inside the token",
        "env files, CSV and YAML end a value there, each at another place",
        "look for a broken line or two values that were pasted together",
    ),
    warn(
        "token-has-blanks-around",
        "there is white space around the token",
        "K3s trims a token file, and takes the blank as part of the token from a variable or an argument",
        "write it without white space; one line end after a token in a file is fine",
    ),
    refuse(
        "token-in-quotes",
        "there are quotes around the token",
        "a token file is taken as it stands: the quotes become part of the password",
        "take the quotes off; they belong into YAML and env files, never into the value",
    ),
    refuse(
        "token-wrapped-twice",
        "a whole token stands inside another one",
        "something put `K10<CA hash>::server:` before what had it already: K3s takes all behind the first `server:` for the password, \
         and no server accepts that",
        "give the inner one alone: all from the second `K10` on, or the secret behind the last `:`",
    ),
    refuse(
        "token-without-prefix",
        "it has the form of a full token, and does not begin with `K10`",
        "K3s takes the whole text for a bare password, and no server accepts that",
        "copy the whole of `server/token` again; `K10` is written with a capital letter",
    ),
    refuse(
        "token-without-separator",
        "it begins with `K10` and has no `::`",
        "K3s takes everything that begins with `K10` for the full form and refuses it when it is not",
        "copy the whole of `server/token` again",
    ),
    refuse(
        "token-hash-length",
        "the CA hash after `K10` does not have 64 characters",
        "K3s refuses such a token before it asks any server",
        "copy the whole of `server/token` again",
    ),
    refuse(
        "token-hash-not-hex",
        "the CA hash after `K10` is no lowercase hex",
        "K3s compares it with a hash in lowercase hex, so that it never matches: the node waits for ever",
        "copy the whole of `server/token` again",
    ),
    refuse(
        "token-user-missing",
        "behind `::` there is no `<user>:<secret>`",
        "K3s refuses it as of an invalid format",
        "copy the whole of `server/token` again",
    ),
    warn(
        "token-user-odd",
        "the user in it is neither `server` nor `node`",
        "K3s overrides the user, so that it works; nobody writes such a token by intent",
        "see where it comes from; `server` and `node` are the users that K3s writes",
    ),
    refuse(
        "token-bootstrap-as-server",
        "the secret has the shape of a bootstrap token (6 characters, dot, 16) and stands where a server token belongs",
        "K3s refuses it as a server token; as the new token of a rotate, K3s before v1.34.2 changes its files first and then fails",
        "use a secret of another shape: keyroll token generate",
    ),
    refuse(
        "token-weak",
        "it is too short for a secret that opens a cluster",
        "whoever guesses it owns the cluster; 128 bits cannot be guessed, 32 hex characters have them",
        "rotate to a better one: keyroll run @rotate-token -i INVENTORY",
    ),
    refuse(
        "token-trivial",
        "it repeats one short pattern",
        "its length does not help: only the pattern has to be guessed",
        "rotate to a better one: keyroll run @rotate-token -i INVENTORY",
    ),
    warn(
        "token-reads-as-number",
        "YAML reads it as a number when it stands without quotes",
        "a long number comes back rounded, and the node then has another token than was written",
        "quote it wherever it stands in YAML, or rotate to one with letters",
    ),
    warn(
        "token-character",
        "it holds a character that CSV, YAML, systemd or a shell reads differently",
        "`server/cred/passwd` is CSV, config.yaml is YAML, env files are read by systemd and by shells: one of them will cut it",
        "quote it wherever it stands, or rotate to one of letters, digits and `-_.+/=~`",
    ),
    refuse(
        "token-ca-differs",
        "it pins the CA of another cluster",
        "a node with it waits for ever: `token CA hash does not match the Cluster CA certificate hash`",
        "take the token from `server/token` of this cluster; after a change of the CA, only the hash in it is wrong",
    ),
    warn(
        "token-ca-unknown",
        "the CA that it pins could not be compared",
        "no host of the fleet showed its CA",
        "see why the servers could not be looked at: keyroll doctor --hosts -i INVENTORY",
    ),
    refuse(
        "token-refused",
        "no server accepts it, in no role",
        "a node that has no certificate yet cannot join with it, and a server does not start with it",
        "compare it with `server/token` of a server that runs; see `keyroll where -i INVENTORY`",
    ),
];

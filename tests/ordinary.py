"""Lines that give nothing away, of many programs, among them what these say about passwords.

``{n}`` is a number, ``{id}`` an id, ``{ip}`` an address, ``{user}`` a name, ``{host}`` a machine,
``{uuid}`` and ``{hex}`` what they are called.
"""

# ruff: noqa: E501
from __future__ import annotations

import random
from typing import Final

from tests.leaks import PROGRAMS

FAMILIES: Final[dict[str, tuple[str, ...]]] = {
    "logins": (
        "Failed password for root from {ip} port {n} ssh2", "Failed password for invalid user {user} from {ip} port {n} ssh2",
        "Accepted password for {user} from {ip} port {n} ssh2", "Accepted publickey for {user} from {ip} port {n} ssh2: RSA SHA256:abc",
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={ip}  user={user}",
        "pam_unix(sudo:session): session opened for user root by {user}(uid={n})", "invalid password for user {user}",
        "password authentication failed for user \"{user}\"", "FATAL:  password authentication failed for user \"{user}\"",
        "Access denied for user '{user}'@'{host}' (using password: YES)", "Access denied for user '{user}'@'{ip}' (using password: NO)",
        "Login failed for user '{user}'. Reason: Password did not match that for the login provided. [CLIENT: {ip}]",
        "wrong password", "wrong password for {user}", "password is required", "Password is incorrect", "password: required", "no password given",
        "password expired for {user}", "password of {user} was changed by admin", "Password changed for user {user}", "password reset requested by user {n}",
        "password mismatch for user {user} from {ip}:{n}", "password must be at least {n} characters", "Password is too short (minimum is 8 characters)",
        "password is too weak: score 2 of 4", "password attempt 3 of 5", "Password check took 15ms", "password hash algorithm sha512 deprecated",
        "password hashing with bcrypt cost 12", "password login disabled for {user}", "password policy v2 loaded", "password file /etc/passwd not found",
        "password for user {user} is not set", "password for {user} has expired", "password for {user}: rejected", "Password for user {user} updated",
        "user {user} has no password set", "password auth is disabled on {host}:{n}", "could not read password: EOF", "password prompt timed out after 30s",
        "passwd: password updated successfully", "passwd[{n}]: password for '{user}' changed by 'root'", "passwd file has {n} entries",
        "chpasswd: {n} passwords changed", "keyboard-interactive/pam for {user} from {ip} port {n} ssh2", "bad password attempt from {ip}",
        "Password verification: ok", "password: ok", "passwords do not match", "password=", 'password=""', "password=***", "password=********", "password=[FILTERED]",
        "password=[REDACTED]", "Password: (hidden)", "password: xxxxx", "password = null", "password=None", "password: false", "password=true", "--password-stdin",
        "--password-file /run/secrets/db", "password_file=/run/secrets/db", "passwordFile: /etc/app/pw", "DB_PASSWORD is not set", "$DB_PASSWORD is empty", "password=$DB_PASSWORD",
        "password=${{DB_PASSWORD}}", "password=%s", "password: {{{{ vault_password }}}}", "mysql -u root -p", "mysql -p", "mysql -h {host} -P 3306 -u app", "mysqldump --single-transaction db",
        "Enter password:", "Enter passphrase for key '/root/.ssh/id_rsa':", "password for 'https://github.com':", "sudo: a password is required",
        "sudo: 3 incorrect password attempts", "credentials expired", "creds: none", "creds: ok", "creds loaded from file", "credentials for {user} not found", "no credentials provided",
        "credentials: missing", "Bad credentials", "invalid credentials for {user} at {host}", "using credentials from /root/.aws/credentials", "credential helper osxkeychain",
        "PASSWORD_RESET_REQUESTED event for user {n}", "RESET PASSWORD", "passphrase required", "passphrase is empty", "pw is too short", "pw: missing", "wrong pw",
    ),
    "tokens": (
        "token expired", "token is expired", "token has expired at 2026-11-23T10:00:00Z", "token bucket is empty", "token bucket refilled: {n} tokens", "token {n} of {n}",
        "invalid token", "invalid token: signature mismatch", "token refreshed for {user}", "token: expired", "token is valid for {n} seconds", "token valid until 2026-11-23",
        "unexpected token < in JSON at position {n}", "Unexpected token '}}', expected ';' (12:4)", "unexpected token: `fi1'", "max_tokens={n}", "prompt_tokens={n} completion_tokens={n}",
        "tokens: {n}", "tokens_used={n}", "tokens per second: 41.5", "token count {n} exceeds 4096", "tokenizer=gpt2", "tokenizing 12kB", "token ring: 10.0.0.0/16", "token range (-{n}, {n}]",
        "csrf token missing or incorrect", "refresh token not found", "access token expired", "access token is missing", "token type Bearer", "token_type=bearer", "token_endpoint=https://{host}/oauth/token",
        "token request took {n}ms", "token request for {user} from {ip}", "POST /oauth/token HTTP/1.1\" 200", "GET /api/v1/tokens/{n} 404", "Kind: HDFS_DELEGATION_TOKEN, Service: {ip}:8020",
        "NMToken for nodeId : {host}:{n}", "AMRMToken updated", "Created token for {user} with sequenceNumber={n}", "removing expired token for attempt_{n}_0011_m_000001_0",
        "secret santa", "secret not found", "secret \"db-credentials\" not found", "secret \"default-token-x7k2p\" not found", "MountVolume.SetUp failed for volume \"certs\" : secret \"tls-2024\" not found",
        "secret/app-{n} created", "secrets \"web-tls\" is forbidden", "secret db-creds-v2 updated", "syncing secret default/app1-tls", "SecretName: app-tls", "secretName=app-tls", "Secret store sync ok",
        "api key missing", "API key not valid", "api key is required", "api_key is missing", "invalid api key", "API key quota: {n}", "api_keys=3", "api key expired", "access key rotated",
        "key-value store opened", "key=user:{n}", "key: orders.{n}", "primary key {n}", "duplicate key value violates unique constraint \"users_pkey\"", "host key verification failed",
        "keys: {n}", "keyspace=prod", "monkey patched", "hotkey {n}", "public key SHA256:Jr8cQ rejected", "private key loaded from /etc/ssl/k.pem", "private key does not match certificate",
        "authentication token accepted", "token from {ip} rejected", "token for {user}: revoked", "lock token {uuid} released", "fencing token {n}", "next token: {n}", "continuation token {n}",
        "AUTH failed", "AUTH required", "NOAUTH Authentication required.", "ERR AUTH <password> called without any password configured", "AUTH: ok", "WRONGPASS invalid username-password pair or user is disabled.",
        "AUTH LOGIN", "250-AUTH PLAIN LOGIN CRAM-MD5", "250-AUTH GSSAPI SCRAM-SHA-256", "AUTH command used too often", "AUTH timeout after 30s", "authenticated as {user}", "SASL AUTH mechanism SCRAM-SHA-512",
        "authorization failed for {user}", "Authorization: none", "auth=none", "auth method oauth2", "using auth0", "auth_type=token",
        "session opened for user {user}", "session closed", "Session {n} logged out", "New session c{n} of user {user}.", "sessionid:0x14f05578bd80001 type:ping", "Established session 0x{hex} with negotiated timeout 40000",
        "session timeout after 30m", "session_id={n}", "session_id=null", "session id missing", "Removed session {n}.", "session expired", "session_count={n}",
    ),
    "passes": (
        "pass 3 of 7", "pass {n}: 12 merged", "PASS: TestLogin{n} (0.01s)", "--- PASS: TestAdd (0.00s)", "PASS tests/test_a.py", "ok  \tpkg/a\t0.01s", "{n} passed, 1 failed", "pass rate: 98.5%", "passed=12",
        "passthrough mode on", "bypass=on", "bypass: cache", "compass=north", "passive mode (10,0,0,1,4,5)", "passing tests: {n}", "passenger 12 boarded", "boarding pass issued", "first pass done in 1.2s",
        "pass=0 fail=0", "PASS", "all checks pass now", "pass v1.2", "trespass alarm zone7", "multipass list", "pwd", "PWD=/root", "pwd: /home/{user}", "cwd and pwd differ", "pw_dir=/root", "spw link3 up",
        "npm run pwa", "pass the x86_64 flag", "two-pass encode 1080p", "PASS [12ms] login works", "test result: pass", "status: pass", "password-less login for {user}", "bandpass=200Hz",
    ),
    "code": (
        "at com.example.auth.PasswordEncoder.matches(PasswordEncoder.java:{n})", "at org.springframework.security.oauth2.Token.verify(Token.java:{n})", "getToken(Request.java:{n})", "validatePassword(user{n})",
        "File \"/app/passwords.py\", line {n}, in check_password", "TypeError: check_password() missing 1 required positional argument: 'password'", "KeyError: 'password'", "KeyError: 'api_key'",
        "AttributeError: 'User' object has no attribute 'password2'", "undefined method `password' for nil:NilClass", "Uncaught TypeError: Cannot read property 'token' of undefined", "token[0]", "tokens[{n}]",
        "login(username, password)", "function password(string $value)", "def set_password(self, raw_password)", "PasswordResetToken(id={n})", "password(8)", "token(expired)", "token{{}}", "secret()", "Token(type=EOF)",
        "column \"password\" of relation \"users\" does not exist", "SELECT id, password, email FROM users WHERE id = $1", "SELECT password FROM users WHERE id = ?", "UPDATE users SET password = ? WHERE id = ?",
        "INSERT INTO users (name, password) VALUES (?, ?)", "INSERT INTO users (name, password) VALUES ($1, $2)", "insert into t(id,passwd) values (:id, :passwd)", "CREATE TABLE users (id int, password varchar(64), token text)",
        "ALTER TABLE users ADD COLUMN password_hash text", "identified by user {n}", "is identified by its name", "device identified by serial {id}", "IDENTIFIED BY PASSWORD", "users(name,password,email)",
        "[\"username\",\"password\",\"email\"]", "fields: (\"password\", \"confirm\")", "params=[\"user\", \"password\"]", "{{\"name\":\"password\",\"type\":\"string\",\"required\":true}}", "{{\"field\":\"password\",\"error\":\"is required\"}}",
        "{{\"name\":\"DB_PASSWORD\",\"valueFrom\":{{\"secretKeyRef\":{{\"name\":\"db\",\"key\":\"password\"}}}}}}", "<input name=\"password\" type=\"password\" value=\"\">", "<label for=\"password\">Password</label>", "<li>password</li>",
        "{{\"key\":\"token\",\"value\":null}}", "- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef:", "{{Name:DB_PASSWORD Value: ValueFrom:&EnvVarSource{{}}}}", "env: [DB_PASSWORD, API_KEY]", "missing env: DB_PASSWORD, API_TOKEN",
        "loc: ('body', 'password'), msg: field required", "validation error: password -> required", "$this->password->verify()", "user->password is null", "password -> field required", "schema: password|string|min:8", "| password | varchar(64) | NO |",
        "| token | text |", "password_changed_at=2026-11-23", "password_age_days={n}", "token_ttl={n}", "token.ttl=15m", "password.min.length=8", "passwordPolicy: strict", "secret_rotation_days=30", "has_password=true", "secret_version=3",
        "token-ttl: 1h", "password-policy=strict", "api-key-header: X-Api-Key", "apikey.enabled=true", "credential_type=oauth2", "Authorization header missing", "cookie: none", "Cookie policy accepted", "Set-Cookie blocked by policy",
    ),
    "commands": (
        "sshpass: command not found", "curl -u {user} https://{host}", "curl -s -o /dev/null -w '%{{http_code}}' https://{host}", "docker login {host}", "docker run -p 8080:80 -it nginx", "ssh -p 22 {host}", "mkdir -p /var/lib/app",
        "ps -p {n} -o pid", "redis-cli -h {host} -p 6379 ping", "redis-cli -a", "mongo --port 27017", "zip -r a.zip b", "unzip -o a.zip", "7z a b.7z c", "ldapsearch -x -W -D cn=admin", "openssl x509 -in a.pem -noout", "vault login", "vault login -method=oidc",
        "htpasswd -c /etc/nginx/.htpasswd {user}", "rabbitmqctl list_users", "mysql -e 'select 1'", "mysql-server 8.0.36 started", "mysqld: ready for connections. Version: '8.0.36'  socket: '/tmp/mysql.sock'  port: 3306", "CMD (test -x /usr/sbin/anacron)",
        "mysql Ver 8.0.36 for Linux on x86_64", "keytool -list -keystore a.jks", "snmpd[{n}]: Connection from UDP: [{ip}]:{n}", "sudo: {user} : TTY=pts/0 ; PWD=/root ; USER=root ; COMMAND=/usr/bin/passwd {user}", "net use", "cp -p a b", "iperf3 -c {host} -p 5201",
        "USER {user}", "PASS ****", "PASS <password>", "a001 LOGIN failed", "LOGIN FAILED, user=[{user}], ip=[{ip}]", "user {user} login", "PASS accepted", "331 Password required for {user}", "530 Login incorrect.", "machine {host} rebooted", "HELLO 3", "enable secret", "snmp-server host {ip}",
    ),
    "foreign": (
        "Passwort ist erforderlich", "Das Passwort ist falsch", "Passwort: ungültig", "Passwort abgelaufen", "Kennwort zu kurz", "mot de passe oublié", "mot de passe incorrect", "Le mot de passe est requis", "contraseña incorrecta", "La contraseña es obligatoria",
        "contraseña caducada", "senha inválida", "A senha é obrigatória", "parola d'ordine errata", "wachtwoord verlopen", "пароль неверный", "неверный пароль пользователя", "密码错误", "パスワードが違います", "비밀번호가 틀렸습니다", "hasło wygasło",
    ),
    "noise": (
        "GET /api/v1/orders/{n} took {n}ms", "blk_-{n} terminating", "user {user} logged in from {ip}", "pod orders-7f9c4d5b8-x2x9z started on {host}", "GC pause 12.5ms heap 512M", "commit {hex} pushed", "trace_id={hex} span_id={hex} ok", "request_id={uuid} done",
        "disk /dev/sda1 at {n}%", "connection to {host}:{n} refused", "job job_{n}_0042 finished", "queue depth={n} lag={n}ms", "cache hit ratio=0.93", "TLS handshake with {ip} failed: EOF", "certificate expires in {n} days", "oom-killer: Killed process {n} (java)",
        "deploy v1.2.{n} of api", "retry {n}/5 in 2s", "{{\"level\":\"info\",\"msg\":\"done\",\"took_ms\":{n}}}", "level=warn msg=\"slow\" took={n}ms", "eth0: link up 1000Mbps", "kernel: [{n}.123456] usb 1-1: new device", "INFO c.e.OrderService - order {n} paid in {n}ms",
        "http://{host}:{n}/health 200", "100% done, %20 left", "a&b=c", "x|y|z", "map[a:1 b:2]", "progress [=====>    ] {n}%", "café naïve façade {n}", "日本語のログ {n}", "статус: ок {n}", "größe={n}", "tab\there\\nnext\\tline", "C:\\temp\\new\\file.txt", "\\u003chtml\\u003e {n}",
    ),
}  # fmt: skip
USERS: Final = (
    "bob",
    "root",
    "alice2",
    "svc-deploy",
    "j.doe",
    "admin1",
    "user42",
    "www-data",
    "ec2-user",
)
HOSTS: Final = ("db1", "db-01.prod.example", "node7", "web-3", "ip-10-0-0-7", "api.example.com")


def ordinary(dice: random.Random, family: str) -> tuple[str, str]:
    """(the notation, the line)"""
    notation = dice.choice(FAMILIES[family])
    bits = dice.getrandbits
    said = notation.format(
        n=dice.randint(1, 99999),
        id=f"{dice.choice('ABX')}{dice.randint(100, 9999)}-{dice.randint(1, 99)}",
        ip=f"10.{bits(8)}.{bits(8)}.{bits(8)}",
        user=dice.choice(USERS),
        host=dice.choice(HOSTS),
        hex=f"{bits(64):016x}",
        uuid=f"{bits(32):08x}-{bits(16):04x}-4{bits(8):03x}-a{bits(8):03x}-{bits(48):012x}",
    )
    return notation, dice.choice(PROGRAMS).format(said)

// Selenium for JavaScript with Firefox, whose name it does not check.
const {Builder, Capabilities} = require("selenium-webdriver");
const {VirtualAuthenticatorOptions, Credential} = require("selenium-webdriver/lib/virtual_authenticator");
const firefox = require("selenium-webdriver/firefox");
const assert = require("node:assert");
const fs = require("node:fs");

const start = fs.readFileSync(`${__dirname}/page.js`, "utf8");
const [address, page] = process.argv.slice(2);

async function main() {
    const options = new firefox.Options().setBinary("/usr/bin/firefox-esr").addArguments("-headless");
    options.set("webauthn:virtualAuthenticators", true);
    const driver = await new Builder().usingServer(address).forBrowser("firefox").setFirefoxOptions(options).build();
    try {
        await driver.manage().setTimeouts({script: 60000});
        await driver.get(page);
        const call = (script) => driver.executeAsyncScript(`${start} const done = arguments[0]; ${script}.then(done)`);
        const configuration = new VirtualAuthenticatorOptions();
        configuration.setHasResidentKey(true);
        configuration.setHasUserVerification(true);
        configuration.setIsUserVerified(true);
        await driver.addVirtualAuthenticator(configuration);
        const made = await call("create({authenticatorSelection: {residentKey: 'required'}})");
        const [held] = await driver.getCredentials();
        assert.equal(Buffer.from(held.id()).toString("base64url"), made.id);
        assert.equal((await call("get([])")).id, made.id);
        await driver.removeCredential(made.id);
        assert.deepEqual(await driver.getCredentials(), []);
        const key = held.privateKey();
        await driver.addCredential(Credential.createResidentCredential(
            new Uint8Array([1, 2, 3]), "localhost", new Uint8Array([4]), key, 7));
        assert.equal((await call("get([])")).id, "AQID");
        await driver.removeAllCredentials();
        await driver.setUserVerified(false);
        await driver.removeVirtualAuthenticator();
    } finally {
        await driver.quit();
    }
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
